"""Puts the networks into the static page, `web/site/`, that `npm run build:static` made before.

    make static-page

The folder is then whole. Any web server may serve it, from any path, such as

    python -m http.server -d web/site
"""

import json
import sys
from pathlib import Path
from typing import Any

import iconet
from iconet.errors import InputError
from iconet.export.formats import export_model
from iconet.upscaling.way import telling
from iconet.zoo import catalogue

SITE = Path(__file__).parents[1] / "web" / "site"
NAMES = ("mri-x2", "mri-x4", "mri-any-x2", "mri-any-x4")
"""Those that `iconet upscale` chooses among, of them what there is."""


def add_models(site: Path) -> None:
    """Export the networks into `models/` of a built page, and list them there.

    Raises:
        RuntimeError: The page is not built.
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
        path = folder / f"{entry.name}.onnx"
        export_model(entry.name, path, "onnx", overwrite=True)
        listed.append(
            {
                "name": entry.name,
                "scale": entry.scale,
                "multiple": network.multiple,
                "channels": network.width,
                "purpose": entry.purpose,
                "telling": _telling(network),
                "licence": entry.licence,
                "sha256": entry.sha256,
            }
        )
    content = {"version": iconet.__version__, "models": listed}
    (folder / "models.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _telling(network: Any) -> dict[str, Any] | None:
    """The layers that tell how resolution was lost, for web/src/laws/way.ts."""
    found = telling(network)
    if found is None or found.way is None:
        return None
    way = found.way
    layers = {
        name: {"weight": layer.weight.tolist(), "bias": layer.bias.tolist()}
        for name, layer in (("hidden", way.hidden), ("scores", way.scores))
    }
    return {"mean": way.mean.tolist(), "deviation": way.deviation.tolist(), **layers}


if __name__ == "__main__":
    try:
        add_models(SITE)
    except (InputError, RuntimeError) as error:
        sys.exit(str(error))
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(f"{SITE}: {size / 1e6:.0f} MB")
