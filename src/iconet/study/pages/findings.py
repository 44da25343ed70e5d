"""What is to be said of a result: what was found, guessed, left out and done.

The page of a scan and the index of a study take their findings from here alone.
"""

from collections.abc import Mapping
from typing import Any

UNKNOWN = "An earlier version of iconet made this result and did not keep what it found."


def findings(report: Mapping[str, Any]) -> list[str]:
    """One line each, from a report as `iconet.study.report` makes it, or an older one."""
    if "remarks" not in report:
        return [UNKNOWN]
    return [line[:1].upper() + line[1:] for line in map(str, report["remarks"])]
