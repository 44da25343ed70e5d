import pytest

from iconet.node.rules import may_fit, rule_for
from iconet.node.settings import Match, Rule

from .parts import archive  # noqa: F401 - skips without pynetdicom

FACTS = {
    "modality": "MR",
    "description": "T1 MPRAGE sag",
    "body_part": "BRAIN",
    "pixel_spacing": 0.9,
    "slice_thickness": None,
    "frames": 1,
}


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"modality": ["mr", "CT"]}, True),
        ({"modality": ["CT"]}, False),
        ({"description": "mprage|flair"}, True),
        ({"description": "^mprage"}, False),
        ({"not_description": "sag"}, False),
        ({"body_part": ["brain"]}, True),
        ({"body_part": ["KNEE"]}, False),
        ({"pixel_spacing_above": 0.8}, True),
        ({"pixel_spacing_above": 0.9}, False),
        ({"slice_thickness_above": 0.1}, False),
        ({"images_at_least": 5}, True),
        ({"images_at_least": 6}, False),
    ],
)
def test_a_rule_fits_where_all_that_it_names_fits(match, fits):
    rule = Rule(name="a", match=match, send_to=["pacs"])
    assert (rule_for([rule], FACTS, 5) is rule) is fits


def test_the_first_rule_that_fits_counts():
    rules = [
        Rule(name=name, match=match, send_to=["pacs"])
        for name, match in [("ct", {"modality": ["CT"]}), ("one", {}), ("two", {})]
    ]
    assert rule_for(rules, FACTS, 5).name == "one"
    assert rule_for(rules[:1], FACTS, 5) is None


def test_frames_of_one_image_count():
    rule = Rule(name="a", match={"images_at_least": 20}, send_to=["pacs"])
    assert rule_for([rule], FACTS | {"frames": 20}, 1) is rule


def test_what_is_polled_may_fit_by_what_is_known():
    assert may_fit(Match(modality=["MR"], pixel_spacing_above=2), "MR", "")
    assert not may_fit(Match(modality=["MR"]), "CT", "")
