"""Many scans: find them, decide what to do, do it, and write down what was done."""
