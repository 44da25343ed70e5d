"""The schema of a training recipe."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from iconet.data.selection import Data
from iconet.network import SIZES, ICONetConfig
from iconet.peers.own import is_own
from iconet.physics.acquisition import Acquisition
from iconet.recipe_files import Section

FINE_TUNING_RATE = 3e-4  # of several the best on five scans (docs/experiments, 146)
SMALLEST_INPUT = 16  # pixels along a side of what the network takes

# ICONet's settings, each with one of its values; scale and channels follow from the task.
OPTIONS = {
    name: value
    for name, value in asdict(ICONetConfig.default(channels=2)).items()
    if name not in ("scale", "channels")
}


class Network(Section):
    """Which network to train."""

    architecture: str = Field(
        "iconet", description="iconet, a name in iconet.peers, or package.module:Class of your own"
    )
    size: str = Field("base", description="of ICONet: one of iconet.network.SIZES")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="ICONet's settings that differ from those of its size; arguments of a class of "
        "your own",
    )

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, name: str) -> str:
        if name != "iconet":
            from iconet.peers import ABLATIONS, NAMES

            known = (*NAMES, *ABLATIONS)
            if name not in known and not is_own(name):
                raise ValueError(
                    f"must be one of iconet, {', '.join(known)}, or package.module:Class"
                )
        return name

    @field_validator("size")
    @classmethod
    def _known_size(cls, size: str) -> str:
        if size not in SIZES:
            raise ValueError(f"must be one of {', '.join(SIZES)}")
        return size

    @field_validator("options")
    @classmethod
    def _known_options(cls, options: dict[str, Any], others: ValidationInfo) -> dict[str, Any]:
        if is_own(others.data.get("architecture", "iconet")):
            return options
        for name, value in options.items():
            if name not in OPTIONS:
                raise ValueError(f"'{name}' is none of {', '.join(OPTIONS)}")
            if type(value) is not type(OPTIONS[name]):
                raise ValueError(f"{name} must be a value such as {OPTIONS[name]!r}")
        return options

    @model_validator(mode="after")
    def _peers_have_no_choices(self) -> Network:
        options = self.options and not self.own
        if self.architecture != "iconet" and (self.size != "base" or options):
            what = "size is" if self.own else "size and options are"
            raise ValueError(f"{what} ICONet's; {self.architecture} has none")
        return self

    @property
    def own(self) -> bool:
        """Whether it is a class of the user."""
        return is_own(self.architecture)


class TrainingTask(Section):
    """What the network is to undo: a lower resolution, undersampling as well, or thick slices.

    All but ``kind`` is about the joint task; see iconet.physics.acquisition.
    """

    kind: Literal["super-resolution", "joint", "through-plane"] = "super-resolution"
    known_samples: bool = Field(False, description="complex images, with k-space and mask given")
    acceleration: tuple[float, float] = (2, 6)
    centre_fraction: float = 0.08
    mask: Literal["random", "equispaced", "either"] = "either"
    noise_min: float = Field(0, description="share of the robust intensity maximum")
    noise_max: float = 0.02
    coils: tuple[int, int] = Field((1, 1), description="fewest and most, with known samples")

    @model_serializer(mode="wrap")
    def _what_counts(self, content_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Recipes of one coil keep the fingerprints that they had before there were several.
        content: dict[str, Any] = content_of(self)
        if self.coils == (1, 1):
            content.pop("coils", None)
        return content

    @model_validator(mode="after")
    def _possible(self) -> TrainingTask:
        if self.known_samples and self.kind != "joint":
            raise ValueError("known_samples needs kind: joint")
        if self.coils != (1, 1) and not self.known_samples:
            raise ValueError("coils need known_samples: true")
        self.acquisition()  # refuses numbers that cannot be
        return self

    def acquisition(self) -> Acquisition:
        """How scans of the joint task are simulated."""
        return Acquisition(**self.model_dump(exclude={"kind", "known_samples"}))

    @property
    def channels(self) -> int:
        """2 for complex images as real and imaginary part, else 1."""
        return 2 if self.known_samples else 1


class Degradation(Section):
    """How resolution is lost in super-resolution; see iconet.physics.degradation."""

    kspace: float = Field(0.6, ge=0)
    windowed: float = Field(0.15, ge=0)
    blurred: float = Field(0.15, ge=0)
    averaged: float = Field(0.1, ge=0)
    resampled: float = Field(0, ge=0)
    interpolated: float = Field(0, ge=0)
    noise_probability: float = Field(0.5, ge=0, le=1)
    noise_max: float = Field(0.03, ge=0)


class SliceProfile(Section):
    """How slices become thick in the through-plane task; see iconet.physics.slice_mix."""

    gaussian: float = Field(0.5, ge=0)
    rect: float = Field(0.25, ge=0)
    kspace: float = Field(0.25, ge=0)
    gap_max: float = Field(0.2, ge=0, lt=1, description="share of the slices' distance")
    noise_probability: float = Field(0.1, ge=0, le=1)
    noise_max: float = Field(0.01, ge=0)


class Optimisation(Section):
    """How long and how to learn."""

    steps: int = Field(gt=0)
    batch: int = Field(8, gt=0, description="patches in a batch")
    patch: int = Field(96, gt=0, multiple_of=32, description="side of the high-resolution patch")
    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float = Field(
        1e-3, gt=0, description=f"{FINE_TUNING_RATE:g} for runs that start from trained weights"
    )
    warm_up: int = Field(100, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.1, ge=0)
    ema: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validate_every: int = Field(500, gt=0, description="steps between validations")
    grow: float = Field(
        0,
        ge=0,
        lt=1,
        description="share of the run at the end of which a cascade has all its stages: the first "
        "is trained alone before, at a third of the time a step at 4x",
    )

    @model_serializer(mode="wrap")
    def _what_counts(self, content_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Recipes that do not use it keep the fingerprints that they had before there was growth.
        content: dict[str, Any] = content_of(self)
        if not self.grow:
            content.pop("grow", None)
        return content


class Loss(Section):
    """Weights of the supervised images relative to the final one."""

    reconstruction: float = Field(0.3, ge=0)
    early: float = Field(0.3, ge=0)


class Recipe(Section):
    """Everything that makes a trained network."""

    name: str = Field(pattern=r"^[^/\\]+$", description="of the file of weights")
    purpose: str
    scale: int
    network: Network = Network()
    task: TrainingTask = TrainingTask()
    seed: int = 0
    start_from: str | None = Field(
        None,
        description="trained weights, by name or file: stage by stage, later ones as their last",
    )
    data: Data
    degradation: Degradation = Degradation()
    slice_profile: SliceProfile = SliceProfile()
    loss: Loss = Loss()
    optimisation: Optimisation

    @model_serializer(mode="wrap")
    def _what_counts(self, content_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The profile plays no part in other tasks. Their runs keep the fingerprints and folders
        # that they had before there was one.
        content: dict[str, Any] = content_of(self)
        if self.task.kind != "through-plane":
            content.pop("slice_profile", None)
        return content

    @model_validator(mode="before")
    @classmethod
    def _rate_of_fine_tuning(cls, content: Any) -> Any:
        # Written into the recipe, so that a file of weights says what it was.
        if isinstance(content, dict) and content.get("start_from"):
            given = content.get("optimisation")
            if isinstance(given, dict):
                rate = {"learning_rate": FINE_TUNING_RATE}
                return {**content, "optimisation": {**rate, **given}}
        return content

    @field_validator("scale")
    @classmethod
    def _known_scale(cls, scale: int) -> int:
        if scale not in (2, 4, 8):
            raise ValueError("must be 2, 4 or 8")
        return scale

    @model_validator(mode="after")
    def _can_grow(self) -> Recipe:
        if self.optimisation.grow:
            if self.start_from:
                raise ValueError("optimisation.grow: start_from gives all stages; remove one")
            if not self.network.architecture.startswith("iconet"):
                raise ValueError("optimisation.grow: only ICONet has stages to grow by; remove it")
        return self

    @field_validator("optimisation")
    @classmethod
    def _large_enough(cls, optimisation: Optimisation, others: ValidationInfo) -> Optimisation:
        scale = others.data.get("scale", 2)
        if optimisation.patch < SMALLEST_INPUT * scale:
            raise ValueError(f"patch must be at least {SMALLEST_INPUT * scale} at scale {scale}")
        task = others.data.get("task")
        if task and task.kind == "joint" and "patch" not in optimisation.model_fields_set:
            # It is the whole field of view there, so the usual side of a patch is too small.
            raise ValueError("the joint task needs patch, the field of view; 192 is usual")
        return optimisation
