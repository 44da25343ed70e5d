"""The house stays readable: a function fits on a screen."""

import ast
from pathlib import Path

import pytest

import iconet

ROOT = Path(iconet.__file__).parent
LONGEST = 60  # lines of signature, docstring and body

# A list of attributes is the point: the options of a command, each with its help.
LISTS = {("cli", "upscale")}

# To be split, and then removed from here.
ALLOWED = {("upscaling.upscale", "upscale")}


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
    assert found - LISTS - ALLOWED == set()
    assert (LISTS | ALLOWED) - found == set(), "short again: no longer to be named here"


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
