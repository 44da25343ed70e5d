"""The section ``data`` of a recipe: which scans to use."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from iconet.recipe_files import Section


class Data(Section):
    """Which scans to use; see `iconet.data.layouts.find_scans`."""

    root: Path = Field(description="folder that the table's paths are relative to")
    layout: Literal["table", "ixi", "fastmri", "hecktor", "bids", "folder"] = "table"
    splits: str | list[str] = Field(
        "splits.csv", description="table of scans in that folder, or several"
    )
    contrasts: list[str] = Field(default_factory=list, description="all if none is named")
    pattern: str | None = Field(
        None, description="of a folder's files, such as {subject}/{contrast}.nii.gz"
    )
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="relative frequency of each data set, 1 if not named"
    )
