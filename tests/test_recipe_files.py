"""Recipes of any schema: what is wrong with one is said in one line that begins with the key."""

from pathlib import Path

import pytest
from pydantic import field_validator

from iconet import recipes
from iconet.cli import run
from iconet.errors import InputError
from iconet.recipe_files import Section, read_recipe


class Wheel(Section):
    inches: int


class Frame(Section):
    colour: str = "red"
    gears: int = 1

    @field_validator("gears")
    @classmethod
    def _few(cls, gears: int) -> int:
        if gears > 12:
            raise ValueError("nobody shifts that often")
        return gears


class Bicycle(Section):
    frame: Frame = Frame()
    wheels: list[Wheel] | None = None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mein rezept ü.yaml"
    path.write_text("frame: {gears: 3}\nwheels: [{inches: 26}, {inches: 28}]\n", "utf-8")
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        read_recipe(path, list(overrides), Bicycle)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_recipe_is_read_and_changed(path: Path) -> None:
    expected = Bicycle(frame=Frame(gears=3), wheels=[Wheel(inches=26), Wheel(inches=28)])
    assert read_recipe(path, None, Bicycle) == expected
    changed = read_recipe(path, ["frame.colour=a=b ü", "wheels=null"], Bicycle)
    assert changed == Bicycle(frame=Frame(gears=3, colour="a=b ü"))


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("frame.color=blue", "frame.color: no such key; known here: colour, gears"),
        ("bell=loud", "bell: no such key; known here: frame, wheels"),
        ("wheels=[{size: 26}]", "wheels.0.inches: missing; add it"),
        ("wheels=[{inches: 26, b: 1}]", "wheels.0.b: no such key; known here: inches"),
        ("wheels=[26]", "wheels.0: a section of its own, with the keys inches"),
        ("frame=5", "frame: a section of its own, with the keys colour, gears"),
        ("frame.gears=13", "frame.gears: nobody shifts that often; correct the recipe"),
    ],
)
def test_what_is_wrong_is_named(path: Path, override: str, problem: str) -> None:
    assert refusal(path, override) == f"{path}: {problem}"


def test_a_value_of_the_wrong_kind_is_shown(path: Path) -> None:
    message = refusal(path, "frame.gears=many")
    assert message.startswith(f"{path}: frame.gears: ")
    assert "not 'many'" in message


@pytest.mark.parametrize(
    "override", ["frame", "=5", "wheels.inches=3", "frame.gears.x=3", "frame=[1", "frame={"]
)
def test_an_override_that_is_none_names_itself(path: Path, override: str) -> None:
    assert refusal(path, override).startswith(f"{override}: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"name: [", "not a readable YAML recipe"),
        (b"\xff\xfe\x00binary", "not a readable YAML recipe"),
        (b"", "mapping"),
        (b"just words", "mapping"),
        (b"- a\n- b", "mapping"),
        (b"!!python/object/apply:os.system [exit]", "not a readable YAML recipe"),
    ],
)
def test_what_is_no_recipe_is_refused(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert reason in message


def test_a_missing_recipe_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no such recipe" in refusal(tmp_path / "nothing.yaml")
    assert "not a readable YAML recipe" in refusal(tmp_path)


@pytest.mark.parametrize("benchmark", [False, True], ids=["train", "benchmark"])
def test_recipes_of_the_package_are_read_by_name(
    benchmark: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = "benchmark" if benchmark else "train"
    found = recipes.names(benchmark=benchmark)
    assert len(found) > 5
    for name in found:
        content = (recipes.FOLDER / f"{name}.yaml").read_text("utf-8")
        assert recipes.recipe_file(name).read_text("utf-8") == content
        assert f"iconet {command} {name}" in content or content.startswith("# Makes ")


def test_a_file_of_one_s_own_comes_before_a_recipe_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = Path("own-scans-x2.yaml")
    assert recipes.recipe_file(own).parent == recipes.FOLDER
    own.write_text("name: mine\n")
    assert recipes.recipe_file(own) == own
    assert recipes.recipe_file("own-scans-x2").parent == recipes.FOLDER
    assert not recipes.recipe_file("elsewhere/own-scans-x2.yaml").exists()


@pytest.mark.parametrize("benchmark", [False, True], ids=["train", "benchmark"])
def test_the_help_lists_them(benchmark: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["benchmark" if benchmark else "train", "--help"]) == 0
    said = "".join(capsys.readouterr().out.split())
    assert ",".join(recipes.names(benchmark=benchmark)) in said
