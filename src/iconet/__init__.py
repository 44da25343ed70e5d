"""iconet."""
