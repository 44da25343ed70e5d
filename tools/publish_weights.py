"""Put trained weights into the package: python tools/publish_weights.py runs/NAME/NAME.safetensors

They are stored as float16 and computed with as float32: half the size, and rounding weights to 11
bits changes the images far less than the 8 bits of bfloat16 that the network computes with where
that is fast. The numbers in the model cards are measured with the stored file. The catalogue gets
the name, scale and purpose that training wrote into the file, and the SHA-256 of the stored one.
What was measured of earlier weights is removed: run tools/publish_trust.py NAME next.
"""

import json
import os
import sys
from pathlib import Path

import torch

from iconet import zoo
from iconet.errors import InputError
from iconet.files import write_text
from iconet.training.checkpoint import write_safetensors
from iconet.zoo.trust import trust_file

LICENCE = "Apache-2.0"
ZOO = Path(zoo.__file__).parent


def publish(trained: Path, folder: Path = ZOO) -> Path:
    """Store a trained file in a folder of weights and enter it into the folder's catalogue.

    Raises:
        InputError: If the file is not one of a trained ICONet, or a weight exceeds float16.
    """
    model = zoo.load(trained)
    name = model.metadata["name"]
    stored = folder / f"{name}.safetensors"
    staged = folder / f"{name}.new.safetensors"
    tensors = {key: tensor.to(torch.float16) for key, tensor in model.state_dict().items()}
    try:
        write_safetensors(tensors, staged, model.metadata)
        sha256 = zoo.load(staged).sha256  # refuses what float16 cannot hold
        os.replace(staged, stored)
        trust_file(stored).unlink(missing_ok=True)
    finally:
        staged.unlink(missing_ok=True)

    catalogue = folder / "catalogue.json"
    entries = {entry["name"]: entry for entry in json.loads(catalogue.read_text("utf-8"))}
    entries[name] = {
        "name": name,
        "scale": model.scale,
        "purpose": model.metadata["purpose"],
        "licence": LICENCE,
        "sha256": sha256,
    }
    text = json.dumps([entries[key] for key in sorted(entries)], indent=2, ensure_ascii=False)
    write_text(text + "\n", catalogue)
    return stored


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        written = publish(Path(sys.argv[1]))
    except InputError as error:
        sys.exit(str(error))
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB; write {written.stem}.md beside it")
