"""The shell of a page: one file, nothing fetched, and nothing of a file's text taken for HTML."""

import base64
import hashlib
import html
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import PurePath
from string import Template
from urllib.parse import quote

GENERATOR = '<meta name="generator" content="iconet '
"""Begins what only pages of iconet have in their head."""

SHELL = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'sha256-$hash'">
$generator$version">
$head<title>$title</title>
<style>
$style</style>
</head>
<body>
$body
<script>$script</script>
</body>
</html>
""")


def document(title: str, body: Sequence[str], *, script: str, head: str = "") -> str:
    """A whole page.

    Args:
        title: not yet escaped.
        body: HTML.
        script: name of a file beside this one; no other script runs.
        head: HTML.
    """
    import iconet

    code = _file(script)
    return SHELL.substitute(
        hash=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        generator=GENERATOR,
        version=text(iconet.__version__),
        head=head,
        title=text(title),
        style=_file("style.css"),
        body="\n".join(body),
        script=code,
    )


def text(said: object) -> str:
    """Anything as text in a page, in an attribute too; what is not printable is escaped."""
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(said))
    return html.escape(plain)


def address(path: PurePath) -> str:
    """A relative path as the address of a link, whatever its name is."""
    return quote(os.fsencode(path.as_posix()))


def facts(rows: Mapping[str, str | None]) -> str:
    """A table of two columns from names and HTML; what is None is left out."""
    lines = (
        f'<tr><th scope="row">{text(name)}</th><td>{said}</td></tr>'
        for name, said in rows.items()
        if said is not None
    )
    return f"<table>{''.join(lines)}</table>"


def listing(lines: Iterable[str]) -> str:
    """A list of texts, not yet escaped."""
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>"


def _file(name: str) -> str:
    return (files("iconet.study.pages") / name).read_text(encoding="utf-8")
