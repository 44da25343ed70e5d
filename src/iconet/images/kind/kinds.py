"""The kinds of images, and what is true of each."""

from dataclasses import dataclass

from iconet.errors import InputError

MR, SIGNED, CT, PET, MAP = "MR", "signed MR", "CT", "PET", "map"
REAL, IMAGINARY, PHASE = "real", "imaginary", "phase"
LABELS, MASK, PROBABILITIES = "labels", "mask", "probabilities"
NOUNS = {
    MR: "an MR image",
    SIGNED: "an MR image with negative values",
    CT: "CT",
    PET: "PET",
    MAP: "a quantitative map",
    REAL: "the real part of a complex image",
    IMAGINARY: "the imaginary part of a complex image",
    PHASE: "a phase image",
    LABELS: "labels",
    MASK: "a mask",
    PROBABILITIES: "probabilities",
}
KINDS = tuple(name.lower() for name in NOUNS if name != SIGNED)
"""What `--kind` takes, beside "auto". Whether an MR image is signed its values say."""


@dataclass(frozen=True)
class Kind:
    """What a scan is.

    Attributes:
        name: One of those above.
        why: What says so, in a few words.
        unit: Of the values, where the file says it; else empty.
        doubt: A line on what may be wrong with that, with a remedy; empty without any.
        seems: Another of those names, which its values look like; empty without any.
    """

    name: str
    why: str
    unit: str = ""
    doubt: str = ""
    seems: str = ""

    @property
    def noun(self) -> str:
        """For sentences."""
        return NOUNS[self.name]

    @property
    def modality(self) -> str:
        """What weights are trained for: "MR", "CT" or "PET"."""
        return self.name if self.name in (CT, PET) else MR

    @property
    def labels(self) -> bool:
        """Whether each value is a name, between which there is nothing."""
        return self.name in (LABELS, MASK)

    @property
    def complex_part(self) -> bool:
        """Whether it is one of the two parts of a complex image."""
        return self.name in (REAL, IMAGINARY)

    @property
    def in_kspace(self) -> bool:
        """Whether its voxels are k-space, transformed: only there are zeros and windows looked for.

        Maps are computed voxel by voxel from several images.
        """
        return self.name in (MR, SIGNED)


def refuse_phase(kind: Kind, name: str) -> None:
    """Refuses what has wraps: between a value before and one after a wrap there is none.

    Raises:
        InputError: The kind is a phase.
    """
    if kind.name == PHASE:
        raise InputError(
            f"{name}: a phase image ({kind.why}): between two sides of a wrap there is no value;"
            " take the magnitude alone, or the real and the imaginary part (magnitude times cosine"
            " and sine of the phase) as two files named _real and _imaginary, and the angle of the"
            " results; --kind mr if it is not a phase"
        )


def refuse_unless_image(kind: Kind, name: str, verb: str) -> None:
    """Refuses what numbers of image quality, and networks, know nothing of.

    Args:
        kind: Of the scan.
        name: Of the scan.
        verb: What an image is needed for, such as "measured by PSNR and SSIM".

    Raises:
        InputError: It is a phase, labels, or probabilities.
    """
    if kind.labels or kind.name in (PHASE, PROBABILITIES):
        remedy = {
            PHASE: "take the magnitude",
            PROBABILITIES: "take the image that they were made from",
        }.get(kind.name, "take the image that they were drawn on; labels are compared by Dice")
        raise InputError(
            f"{name}: {kind.noun} ({kind.why}), which cannot be {verb}; {remedy}, or say --kind if"
            " it is something else"
        )
