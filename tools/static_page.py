"""Puts the networks into the static page, `web/site/`, that `npm run build:static` made before.

    make static-page

The folder is then whole. Any web server may serve it, from any path, such as

    python -m http.server -d web/site
"""

import json
import sys
from pathlib import Path

import iconet
from iconet.errors import InputError
from iconet.export.formats import export_model
from iconet.zoo import catalogue

SITE = Path(__file__).parents[1] / "web" / "site"
NAMES = ("mri-x2", "mri-x4")


def add_models(site: Path) -> None:
    """Export the networks into `models/` of a built page, and list them there.

    Raises:
        RuntimeError: The page is not built, or a network needs what the page has not.
    """
    if not (site / "index.html").is_file():
        raise RuntimeError(f"{site} holds no page: make static-page")
    folder = site / "models"
    folder.mkdir(exist_ok=True)
    listed = []
    for entry in catalogue():
        if entry.name not in NAMES:
            continue
        network = iconet.load(entry.name)
        # web/src/laws/ knows no way but a crop of k-space, and slices are not cut into tiles.
        if network.describe is not None or (network.way is not None and network.way.is_fitted):
            raise RuntimeError(f"{entry.name}: is told of whole slices, which the page cannot yet")
        path = folder / f"{entry.name}.onnx"
        export_model(entry.name, path, "onnx", overwrite=True)
        listed.append(
            {
                "name": entry.name,
                "scale": entry.scale,
                "multiple": network.multiple,
                "channels": network.width,
                "purpose": entry.purpose,
                "licence": entry.licence,
                "sha256": entry.sha256,
            }
        )
    content = {"version": iconet.__version__, "models": listed}
    (folder / "models.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    try:
        add_models(SITE)
    except (InputError, RuntimeError) as error:
        sys.exit(str(error))
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(f"{SITE}: {size / 1e6:.0f} MB")
