"""The page of a derivative: the group's table, for people."""

from collections.abc import Sequence
from html import escape

from iconet.bids_app.rows import Row

SHOWN = {
    "source": "scan",
    "image": "result",
    "model": "model",
    "voxel_after": "voxel (mm)",
    "consistency_psnr": "consistency (dB)",
    "seconds_upscale": "seconds",
    "findings": "findings",
}

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #ccc; padding: 0.3em 0.8em; text-align: left; }}
.missing {{ background: #fdd; }}
</style></head>
<body>
<h1>{title}</h1>
<p>{summary} Research use, not for diagnosis.</p>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</body>
</html>
"""


def group_page(title: str, rows: Sequence[Row]) -> str:
    """A page that needs no other file and no network.

    Args:
        title: Of the derivative.
        rows: Of the group's table.
    """
    made = sum(row["status"] == "made" for row in rows)
    missing = len(rows) - made
    summary = f"{made} results" + (f", {missing} scans without one." if missing else ".")
    lines = [
        f'<tr class="{escape(row["status"])}">'
        + "".join(f"<td>{_cell(name, row)}</td>" for name in SHOWN)
        + "</tr>"
        for row in rows
    ]
    return PAGE.format(
        title=escape(f"iconet: {title}"),
        summary=summary,
        head="".join(f"<th>{escape(name)}</th>" for name in SHOWN.values()),
        body="\n".join(lines),
    )


def _cell(name: str, row: Row) -> str:
    text = escape(row[name])
    if name == "image" and row["status"] == "made":
        return f'<a href="{text}">{text}</a>'
    return text
