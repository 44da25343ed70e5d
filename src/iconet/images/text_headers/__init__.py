"""Formats with a few lines of text before the voxels: NRRD and MetaImage."""
