"""`iconet-bids`: a BIDS App, as clusters and pipelines of neuroimaging run them."""
