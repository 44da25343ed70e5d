"""What the network knows of k-space: measured samples, and the slow phase."""
