"""The house stays readable: a function fits on a screen, and imports go one way."""

import ast
import os
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
