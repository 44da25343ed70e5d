"""How far a run has come, and what is trained there at which learning rate."""

import math
import re

from iconet.errors import InputError


def finished_share(step: int, steps: int, elapsed: float, max_time: float | None) -> float:
    """Finished part of a run, 0 to 1: by steps, or by time where that ends the run sooner."""
    done = step / steps
    return min(1.0, done if max_time is None else max(done, elapsed / max_time))


def stages_in_training(stages: int, grow: float, done: float) -> int:
    """How many stages of a cascade are trained at a part of a run.

    The first alone at first, then one more after equal parts of the run, all from ``grow`` on.
    """
    return stages if done >= grow else 1 + int(done / grow * (stages - 1))


def shares_of_depths(stages: int, grow: float) -> dict[int, float]:
    """Share of a run in which so many stages are trained, by :func:`stages_in_training`."""
    if not grow or stages == 1:
        return {stages: 1.0}
    return {**dict.fromkeys(range(1, stages), grow / (stages - 1)), stages: 1 - grow}


def learning_rate(peak: float, step: int, warm_up: int, done: float) -> float:
    """Linear warm-up over ``warm_up`` steps, then half a cosine to a thousandth of the peak."""
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return peak * min(1.0, (step + 1) / (warm_up + 1)) * (0.001 + 0.999 * cosine)


def seconds(duration: str) -> float:
    """Length of a duration such as ``90s``, ``45m``, ``1.5h`` or ``1h30m``.

    Raises:
        InputError: For anything else.
    """
    if not re.fullmatch(r"(\d+(\.\d+)?[hms])+", duration):
        raise InputError(f"{duration}: not a duration; write for example 90s, 45m or 1h30m")
    unit = {"h": 3600, "m": 60, "s": 1}
    total = sum(float(n) * unit[u] for n, _, u in re.findall(r"(\d+(\.\d+)?)([hms])", duration))
    if total <= 0:
        raise InputError(f"{duration}: a run needs some time; write for example 90s, 45m or 1h30m")
    return total
