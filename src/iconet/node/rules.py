"""Which rule a series goes by."""

import re
from collections.abc import Sequence
from typing import Any

from iconet.node.settings import Match, Rule


def rule_for(rules: Sequence[Rule], facts: dict[str, Any], images: int) -> Rule | None:
    """The first rule that fits; None if none does.

    Args:
        rules: Of the node.
        facts: Of the series' first image, as `Facts.as_json` has them.
        images: How many there are.
    """
    return next((rule for rule in rules if fits(rule.match, facts, images)), None)


def fits(match: Match, facts: dict[str, Any], images: int) -> bool:
    """Whether a series is one that a rule is for.

    A spacing that the header does not say is above nothing.
    """
    return (
        may_fit(match, facts["modality"], facts["description"])
        and _among(facts["body_part"], match.body_part)
        and _above(facts["pixel_spacing"], match.pixel_spacing_above)
        and _above(facts["slice_thickness"], match.slice_thickness_above)
        and max(images, facts["frames"]) >= match.images_at_least
    )


def _among(value: str, wanted: Sequence[str]) -> bool:
    return not wanted or value.strip().casefold() in [one.strip().casefold() for one in wanted]


def _found(expression: str, text: str) -> bool:
    return re.search(expression, text, re.IGNORECASE) is not None


def _above(value: float | None, limit: float | None) -> bool:
    return limit is None or (value is not None and value > limit)


def may_fit(match: Match, modality: str, description: str) -> bool:
    """Whether a rule may be for a series of which no more is known than this."""
    return (
        _among(modality, match.modality)
        and (match.description is None or _found(match.description, description))
        and not (match.not_description is not None and _found(match.not_description, description))
    )
