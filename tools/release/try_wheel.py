"""Try what goes to PyPI: python tools/release/try_wheel.py dist [PYTHON]

Installs the wheel of a folder into a bare environment and upscales the demo scan there without a
network. Prints the sizes. As root on Linux the network is taken away by the kernel (`unshare`);
elsewhere every proxy leads to nowhere.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 15e6  # bytes of a wheel and of a source distribution
CPU = "https://download.pytorch.org/whl/cpu"
NOWHERE = "http://127.0.0.1:9"
CHECK = """
import sys
from importlib.resources import files
import nibabel
before, after = (nibabel.load(path) for path in sys.argv[1:])
rows, columns, *slices = before.shape
assert after.shape == (2 * rows, 2 * columns, *slices), (before.shape, after.shape)
assert (files("iconet") / "view" / "page" / "index.html").is_file(), "the page of iconet view"
print(before.shape, "->", after.shape)
"""


def main(dist: Path, python: str) -> None:
    """Check the sizes, then install and run."""
    (wheel,) = dist.glob("iconet-*.whl")
    for path in (wheel, *dist.glob("iconet-*.tar.gz")):
        size = path.stat().st_size
        print(f"{path.name}: {size / 1e6:.1f} MB")
        if size > MOST:
            sys.exit(f"{path.name} is larger than {MOST / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "bare"
        subprocess.run([python, "-m", "venv", environment], check=True)
        bare = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        pip = [bare, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "torch>=2.10", "--extra-index-url", CPU], check=True)
        subprocess.run([*pip, wheel.resolve()], check=True)
        upscale(bare, Path(folder))


def upscale(python: Path, folder: Path) -> None:
    """Upscale the demo scan of the installed package in a folder, offline."""
    where = "import iconet.demo_scan as d; print(d.__path__[0])"
    demo = subprocess.run(
        [python, "-c", where], cwd=folder, check=True, capture_output=True, text=True
    )
    scan, bigger = Path(demo.stdout.strip()) / "sub-01_T1w_slab.nii.gz", folder / "bigger.nii.gz"
    proxies = {name: NOWHERE for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    offline = []
    if shutil.which("unshare") and os.geteuid() == 0:
        offline = ["unshare", "--net"]
    program = python.with_name("iconet")
    subprocess.run(
        [*offline, program, "upscale", scan, "-o", bigger],
        cwd=folder,
        env={**os.environ, **proxies},
        check=True,
    )
    subprocess.run([python, "-c", CHECK, scan, bigger], cwd=folder, check=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), *(sys.argv[2:] or [sys.executable]))
