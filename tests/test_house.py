"""The house stays readable: a function fits on a screen, and imports go one way."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import iconet

ROOT = Path(iconet.__file__).parent
LONGEST = 60  # lines of signature, docstring and body

# A list of attributes is the point: the options of a command and of a public function, documented.
LISTS = {("cli", "upscale"), ("upscaling.in_python", "upscale")}


def long_functions(source: str) -> set[str]:
    """Qualified names of the functions and methods that are too long."""
    found = set()

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                length = child.end_lineno - child.lineno + 1
                if not isinstance(child, ast.ClassDef) and length > LONGEST:
                    found.add(name)
                name += "."
            visit(child, name)

    visit(ast.parse(source), "")
    return found


def test_no_function_is_longer_than_a_screen() -> None:
    found = {
        (".".join(path.relative_to(ROOT).with_suffix("").parts), name)
        for path in ROOT.rglob("*.py")
        for name in long_functions(path.read_text(encoding="utf-8"))
    }
    assert found - LISTS == set()
    assert LISTS - found == set(), "short again: no longer to be named here"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        ("def f():\n", "f"),
        ("async def f():\n", "f"),
        ("class A:\n def f(self):\n", "A.f"),
        ("if True:\n def f():\n", "f"),
    ],
)
def test_the_check_above_can_fail(start: str, name: str) -> None:
    line = "  pass\n"
    assert long_functions(start + (LONGEST - 1) * line) == set()
    assert long_functions(start + LONGEST * line) == {name}


def lint_imports(tmp_path: Path, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Check the import contract on a copy of the package with lines added to some files."""
    pytest.importorskip("importlinter", reason="pip install 'iconet[dev]'")
    copy = tmp_path / "iconet"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    for name, line in changes.items():
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    project = ROOT.parents[1] / "pyproject.toml"
    if not project.exists():
        pytest.skip("the contract is in the repository, not in the installed package")
    shutil.copy(project, tmp_path)
    program = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "0 broken"),
        ({"evaluation/page.py": "from iconet.evaluation import benchmark"}, "No cycles"),
        ({"images/dicom/derived_grid.py": "import iconet.images.dicom.derived"}, "No cycles"),
        ({"network/rscfl.py": "from iconet.images import read"}, "not allowed to import"),
        ({"upscaling/plan.py": "from iconet.study.find import Task"}, "not allowed to import"),
        ({"loose.py": "pass"}, "loose"),
    ],
    ids=["as it is", "circle", "circle in a folder", "sideways", "upwards", "a file of no room"],
)
def test_imports_go_down_and_never_in_a_circle(tmp_path, changes, said) -> None:
    result = lint_imports(tmp_path, changes)
    assert said in result.stdout, result.stdout + result.stderr
    assert (result.returncode == 0) == (not changes)


def experiments() -> dict[int, Path]:
    """The numbers of the experiments in the log, and the page of each."""
    log = ROOT.parents[1] / "docs" / "experiments"
    if not log.is_dir():
        pytest.skip("the log of experiments is in the repository, not in the installed package")
    found = [
        (int(number), page)
        for page in sorted(log.glob("*.md"))
        for number in re.findall(r"^\(e(\d+)\)=$", page.read_text(encoding="utf-8"), re.M)
    ]
    assert len(found) == len(dict(found)), "a number names one experiment"
    return dict(found)


def test_the_log_of_experiments_has_every_number_once_and_in_its_index() -> None:
    log = experiments()
    assert sorted(log) == list(range(1, len(log) + 1))
    index = (log[1].parent / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(\d+)\]\(([\w-]+\.md)#e(\d+)\)", index, re.M)
    assert {(int(n), page, int(e)) for n, page, e in listed} == {
        (n, page.name, n) for n, page in log.items()
    }


def test_experiments_cited_in_the_source_are_in_the_log() -> None:
    log = experiments()
    sources = (path for path in ROOT.rglob("*") if path.suffix in {".py", ".yaml", ".md"})
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert "docs/experiments.md" not in text
    cited = re.findall(r"docs/experiments, ((?:\d+(?:, | to )?)+)", text)
    assert len(cited) > 5
    assert {int(n) for group in cited for n in re.findall(r"\d+", group)} <= set(log)
