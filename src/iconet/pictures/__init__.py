"""What people look at: slices the right way up, in one grey window, and as pictures."""
