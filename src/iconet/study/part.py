"""Which part of a study is meant: series, participants and sessions of a dataset, or a shard."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from iconet.errors import InputError
from iconet.images import bids
from iconet.study.shard import Shard

Scan = TypeVar("Scan")
MOST_NAMED = 5  # in a line


@dataclass(frozen=True)
class Part:
    """A part of a study; by default all of it.

    Attributes:
        participants: Labels of a dataset, with or without "sub-"; empty for all.
        sessions: Labels, with or without "ses-"; empty for all, and for scans of no session.
        shard: One of several jobs that share the work.
        all_series: Of DICOM studies every series, into folders below the output.
        only: Of them the series of a modality, or with this in their description.
    """

    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    shard: Shard | None = None
    all_series: bool = False
    only: str | None = None

    def of_dataset(
        self, root: Path, scans: Callable[[Sequence[Path]], list[Scan]]
    ) -> tuple[list[Scan], list[Path]]:
        """What is meant of a BIDS dataset.

        A shard gets whole participants, so that it need not look into the folders of all of them;
        single scans only where participants are fewer than shards.

        Args:
            root: Of the dataset.
            scans: Gives the scans in folders of participants or sessions.

        Returns:
            The scans, and the folders that were looked into.

        Raises:
            InputError: A participant is not there, or none has one of the sessions.
        """
        people = self._people(root)
        if self.shard is not None and len(people) >= self.shard.count:
            places = self._places(root, self.shard.of(people), strict=False)
            return scans(places), places
        places = self._places(root, people, strict=True)
        return self.of(scans(places)), places

    def of(self, scans: Sequence[Scan]) -> list[Scan]:
        """The scans that a shard is to do."""
        return list(scans) if self.shard is None else self.shard.of(scans)

    def _people(self, root: Path) -> list[Path]:
        people = bids.people(root)
        if not self.participants:
            return people
        by_label = {person.name.removeprefix("sub-"): person for person in people}
        wanted = list(dict.fromkeys(label.removeprefix("sub-") for label in self.participants))
        if missing := [label for label in wanted if label not in by_label]:
            raise InputError(
                f"{root}: no participant {', '.join(missing)}; it has {_some(by_label)}"
            )
        return sorted(by_label[label] for label in wanted)

    def _places(self, root: Path, people: Sequence[Path], *, strict: bool) -> list[Path]:
        if not self.sessions:
            return list(people)
        wanted = [f"ses-{label.removeprefix('ses-')}" for label in self.sessions]
        found = [person / name for person in people for name in sorted(set(wanted))]
        found = [place for place in found if place.is_dir()]
        missing = set(wanted) - {place.name for place in found}
        if strict and missing:
            there = sorted({path.name for person in people for path in person.glob("ses-*")})
            has = f"they have {_some(there)}" if there else "they have none"
            raise InputError(
                f"{root}: none of the participants has {', '.join(sorted(missing))}; {has}"
            )
        return found


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - MOST_NAMED
    return ", ".join(listed[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
