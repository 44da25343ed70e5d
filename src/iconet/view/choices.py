"""What the page may choose, and nothing else: no paths, no networks of one's own."""

from typing import Any

from iconet.errors import InputError
from iconet.images.kind import KINDS
from iconet.upscaling.options import Options
from iconet.zoo.catalogue import catalogue

TYPES: dict[str, type] = {
    "model": str,
    "scale": int,
    "plane": str,
    "axes": str,
    "spacing": str,
    "isotropic": bool,
    "series": str,
    "acquired": str,
    "window": str,
    "kind": str,
    "volume": int,
    "allow_missing": bool,
    "again": bool,
    "uncertainty": bool,
    "best": bool,
}
LONGEST = 128  # characters


def options_of(content: Any) -> Options:
    """Options from what the page sends; what is not there is as by default.

    Raises:
        InputError: Something else than the page offers, or what no scan could be given.
    """
    if not isinstance(content, dict):
        raise InputError("no options; use the page that iconet view opened")
    for name, value in content.items():
        wanted = TYPES.get(name)
        if wanted is None or type(value) is not wanted or len(str(value)) > LONGEST:
            raise InputError(f"{name[:40]}: is not an option of the page")
    names = [entry.name for entry in catalogue()]
    if content.get("model", names[0]) not in names:
        raise InputError(f"model {content['model']}: choose one of {', '.join(names)}")
    return Options(**content)


def offered() -> dict[str, Any]:
    """For the page."""
    import iconet

    return {
        "version": iconet.__version__,
        "models": [
            {"name": entry.name, "scale": entry.scale, "purpose": entry.purpose}
            for entry in catalogue()
            if not entry.name.endswith("-joint")
        ],
        "kinds": list(KINDS),
    }
