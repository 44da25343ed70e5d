"""Reports to look at: a page of HTML for each scan, and an index for a study."""
