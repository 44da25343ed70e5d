"""Where the network runs: device, precision, other runtimes and what is kept of them."""
