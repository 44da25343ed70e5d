"""Links of the documents lead to a file and a heading, and examples print what they say."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.md"))
    if path.name != "CHANGELOG.md"
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
BUILT = ("tutorials", "gallery")
"""Folders of docs/ that `make docs` fills from docs/examples/."""


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)


def headings(document: Path) -> set[str]:
    """As GitHub and MyST name them in links, and the names that MyST's ``(name)=`` gives."""
    text = without_code(document.read_text())
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).strip().lower() for title in titles)
    named = set(re.findall(r"^\((\w+)\)=$", text, re.M))
    return named | {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def target_of(document: Path, name: str) -> Path:
    """The file that a link names; of a page that is built the script that it is built from."""
    target = (document.parent / name).resolve()
    if target.parent.parent == ROOT / "docs" and target.parent.name in BUILT:
        script = ROOT / "docs" / "examples" / target.parent.name / target.name
        return script.parent if target.name == "index" else script.with_suffix(".py")
    return target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(without_code(document.read_text())):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = target_of(document, name) if name else document
        assert target.exists(), link
        if heading and target.suffix == ".md":
            assert heading in headings(target), link


def test_the_check_above_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two` & three\n\n```sh\n# no heading\n```\n")
    assert headings(page) == {"one-two--three"}
    assert not target_of(page, "other.md").exists()


def test_what_docs_python_shows_comes_out() -> None:
    page = ROOT / "docs" / "python.md"
    found = doctest.DocTestParser().get_doctest(
        "\n".join(re.findall(r"```pycon\n(.*?)```", page.read_text(), re.S)),
        {},
        page.name,
        str(page),
        0,
    )
    assert len(found.examples) > 8
    assert doctest.DocTestRunner().run(found).failed == 0
