"""What tells results apart that were made with other weights or options, in the name of a file."""

import re
from dataclasses import fields

from iconet.upscaling.options import Options
from iconet.zoo import catalogue
from iconet.zoo.model import Model

PROGRAM = "iconet"


def result_label(options: Options, model: Model) -> str:
    """Letters and digits for the entity ``desc-`` of BIDS, such as iconetMriX2 or iconetIsotropic.

    Options that are what they are by default are not named. A model that was named is not the same
    as the package's own choice, which interpolates what none was trained for and may take another
    model for a step. Weights of a user are told apart by their SHA-256, whatever name they have.

    Args:
        options: Of the run.
        model: That was chosen, by name or for the scale.
    """
    usual = {field.name: field.default for field in fields(Options)}
    given = {name: value for name, value in options.deciding.items() if value != usual.get(name)}
    parts = [_name(options, model)]
    for option, value in given.items():
        parts += [option] if value is True else [option, str(value)]
    return PROGRAM + "".join(map(_camel, parts))


def _name(options: Options, model: Model) -> str:
    if options.model is None:
        if options.by_spacing:
            return ""  # several models, chosen for each scan
        return f"x{model.scale}" if options.own_grid else model.name or ""
    name, scale = f"model-{model.name or ''}", f"x{model.scale}"
    if not name.endswith(scale):
        name += f"-{scale}"
    if model.sha256 in {entry.sha256 for entry in catalogue()}:
        return name
    return f"{name}-{(model.sha256 or '')[:6]}"


def _camel(text: str) -> str:
    """Words with a capital each, without what is between them; 0.5 becomes 0p5."""
    words = re.findall("[A-Za-z0-9]+", re.sub(r"(?<=\d)\.(?=\d)", "p", text))
    return "".join(word[0].upper() + word[1:] for word in words)
