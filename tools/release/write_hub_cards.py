"""Prepare the models for other hubs: python tools/release/write_hub_cards.py OUT

OUT/huggingface/NAME is a repository for the Hugging Face Hub: the weights and their card, with the
metadata that the Hub sorts by and links that lead into the release. Upload one by
`hf upload ORGANISATION/NAME OUT/huggingface/NAME`. OUT/spandrel.md describes the models by the
fields of spandrel's descriptors, for a request to add them.
"""

import os.path
import re
import shutil
import sys
from pathlib import Path

import yaml

from iconet import __version__, zoo
from iconet.zoo.catalogue import FOLDER, Entry
from iconet.zoo.model import SMALLEST, Model

REPOSITORY = f"https://github.com/iconet/iconet/blob/v{__version__}/"
INSIDE = "src/iconet/zoo"  # where the cards are in the repository

USE = """## Use

    pip install iconet

    iconet upscale {input} -o bigger.nii.gz --model {name}

The weights come with the package. `iconet.load("{name}.safetensors")` opens the file of this page
as a `torch.nn.Module`.
"""
INPUTS = {"joint": "raw.h5", "through-plane": "thick.nii.gz"}


def main(out: Path) -> None:
    """Write what each hub takes."""
    models = {entry: Model.of(zoo.load(entry.name)) for entry in zoo.catalogue()}
    for entry, model in models.items():
        folder = out / "huggingface" / entry.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry.path, folder / entry.path.name)
        (folder / "README.md").write_text(hugging_face(entry, model), encoding="utf-8")
    (out / "spandrel.md").write_text(spandrel(models), encoding="utf-8")


def hugging_face(entry: Entry, model: Model) -> str:
    """A card for the Hugging Face Hub."""
    metadata = {
        "license": entry.licence.lower(),
        "library_name": "iconet",
        "pipeline_tag": "image-to-image",
        "tags": ["medical", "mri", *sorted({"super-resolution", model.task}), f"{entry.scale}x"],
        "metrics": ["psnr", "ssim"],
    }
    card = re.sub(r"(\]\()(?!\w+:|#)([^)\s]+)\)", _absolute, entry.card.read_text("utf-8"))
    use = USE.format(name=entry.name, input=INPUTS.get(model.task, "scan.nii.gz"))
    first, heading, rest = card.partition("\n## ")
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False)}---\n\n{first}\n{use}{heading}{rest}"


def _absolute(link: re.Match[str]) -> str:
    path = os.path.normpath(f"{INSIDE}/{link[2]}")
    if path.startswith(".."):
        raise ValueError(f"{link[2]} leads out of the repository")
    return f"{link[1]}{REPOSITORY}{path})"


def spandrel(models: dict[Entry, Model]) -> str:
    """The descriptors, a row a model."""
    lines = [
        "# ICONet for spandrel",
        "",
        f"Source: <{REPOSITORY}src/iconet/network/iconet.py>, Apache-2.0; needs PyTorch.",
        "Weights: safetensors; their metadata hold the configuration. Any height and width.",
        "",
        "| Model | purpose | scale | input_channels | output_channels | SizeRequirements"
        " | tiles: multiple, context | licence | SHA-256 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for entry, model in models.items():
        network = model.network
        channels = str(model.channels)
        cells = [entry.name, "SR", str(entry.scale), channels, channels, f"minimum={SMALLEST}"]
        cells += [f"{network.multiple}, {network.halo}", entry.licence, f"`{entry.sha256}`"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "The joint models take k-space too (`samples=`): they are no plain image models."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    assert FOLDER.as_posix().endswith(INSIDE), "run it on the repository"
    main(Path(sys.argv[1]))
