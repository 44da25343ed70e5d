"""Raw k-space: fastMRI's HDF5 and ISMRMRD."""
