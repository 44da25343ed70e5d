"""Train, calibrate and store what says how far the results of trained weights may be trusted.

    python tools/publish_trust.py mri-x2 data.root=/path/to/data [steps=8000] [head=keep]
    python tools/publish_trust.py runs/NAME/NAME.safetensors data.root=/path/to/data

The head for intervals learns from the training scans of the weights' own recipe, and so does how
much wider intervals must be where an image lost its resolution in another way. They are calibrated
on its validation scans, as is what counts as unlike them. `NAME.trust.safetensors` is written
beside the weights; `head=keep` takes the head from there and calibrates it anew. For weights of the
package the catalogue gets its SHA-256, too. Publish new weights first (tools/publish_weights.py):
the file belongs to the stored ones.
"""

import json
import sys
import time
from pathlib import Path

from iconet import zoo
from iconet.data.split_volumes import tables_of_scans, volumes_for
from iconet.errors import InputError
from iconet.evaluation.trust import (
    ALSO,
    calibrated_factors,
    cases,
    familiar_with,
    fitted_widening,
    rescaled,
    sampled,
    some_of_each,
    summary,
    ways_of,
    with_factors,
)
from iconet.files import sha256_of, write_text
from iconet.network.trust import Trust
from iconet.runtime.device import choose_compute
from iconet.training.checkpoint import write_safetensors
from iconet.training.interval_head import STEPS, train_head
from iconet.training.recipe import Recipe
from iconet.zoo.catalogue import FOLDER
from iconet.zoo.model import Model
from iconet.zoo.trust import trust_content, trust_file

CPU = choose_compute("cpu")


def publish(name: str, root: Path, steps: int = STEPS, *, keep: bool = False) -> Path:
    """Make the file for weights, by their name or their file."""
    network = zoo.load(name)
    kept, network.trust = network.trust, None
    model = Model.of(network)
    weights = Path(name)
    if weights.suffix != ".safetensors":
        weights = FOLDER / f"{name}.safetensors"
    content = json.loads(network.metadata["recipe"])
    content["data"]["root"] = str(root)
    recipe = Recipe(**content)
    scratch = Path("/tmp/iconet-trust-slices") if recipe.data.layout == "table" else weights.parent
    square = recipe.task.kind == "through-plane"
    if keep and kept is not None:
        head = with_factors(kept.head, [1.0, 1.0])
        head.widening.zero_()
    else:
        volumes, _ = volumes_for(recipe.data, "train", scratch, square=square)
        head = train_head(network, recipe, volumes, steps=steps)
    running = network.with_head(head)

    began = time.monotonic()
    tables, contrasts = tables_of_scans(recipe.data, scratch), recipe.data.contrasts
    training, validation = (
        list(cases(root, tables, split, contrasts)) for split in ("train", "validation")
    )
    shares = ways_of(recipe)
    also = ALSO if recipe.task.kind == "super-resolution" else ()
    head.widening.copy_(
        fitted_widening(
            [
                found
                for way in [*shares, *also]
                for case in some_of_each(training)
                if (found := sampled(model, running, case, way, CPU, slices=2)) is not None
            ]
        )
    )
    print(f"widening {head.widening.tolist()}, {time.monotonic() - began:.0f} s", flush=True)
    measured = [
        found
        for way in shares
        for case in validation
        if (found := sampled(model, running, case, way, CPU)) is not None
    ]
    factors = calibrated_factors(measured, shares)
    calibration = {}
    for way in shares:
        these = [one for one in measured if one.way == way]
        below, above = calibrated_factors(these, {way: 1.0})
        now = summary([rescaled(one, factors) for one in these])
        calibration[way] = {**now, "below": below, "above": above}
        print(f"{way}: {calibration[way]}", flush=True)
    print(f"factors {factors}, {time.monotonic() - began:.0f} s", flush=True)

    began = time.monotonic()
    familiar, ranges = familiar_with(model, recipe, training, validation)
    print(
        f"ranges {ranges}, furthest {familiar and familiar.furthest},"
        f" {time.monotonic() - began:.0f} s"
    )
    trust = Trust(with_factors(head, factors), familiar, ranges, calibration)
    path = trust_file(weights)
    tensors, metadata = trust_content(trust, str(network.sha256))
    write_safetensors(tensors, path, metadata)
    return path


def enter(path: Path) -> None:
    """Into the catalogue, if it is of the package's weights."""
    if path.parent != FOLDER:
        return
    catalogue = FOLDER / "catalogue.json"
    entries = json.loads(catalogue.read_text("utf-8"))
    for entry in entries:
        if f"{entry['name']}.trust.safetensors" == path.name:
            entry["trust"] = sha256_of(path)
    write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", catalogue)


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[2:] if "=" in argument)
    if len(sys.argv) < 3 or "data.root" not in given:
        sys.exit(__doc__)
    try:
        written = publish(
            *(sys.argv[1], Path(given["data.root"]), int(given.get("steps", STEPS))),
            keep=given.get("head") == "keep",
        )
    except InputError as error:
        sys.exit(str(error))
    enter(written)
    print(f"{written}: {written.stat().st_size / 1e3:.0f} kB")
