"""DICOM series in, and derived series out."""
