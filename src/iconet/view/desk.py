"""The scans on the page: what each is, what becomes of it, and who is to be told."""

import asyncio
import json
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from iconet.errors import InputError
from iconet.images.kind.kinds import LABELS, MASK
from iconet.images.kspace.read_kspace import is_kspace_file
from iconet.images.reading import suffix_of
from iconet.study.jobs import Died
from iconet.upscaling.options import Options
from iconet.view.drops import PATIENCE, Drop, claim
from iconet.view.folder import check_room
from iconet.view.item import DICOM, Item
from iconet.view.looking import Looking
from iconet.view.process import Process
from iconet.view.tasks import FIRST, Draw, Drawn, Find, Found, Look, Made, Refused, Seen, Upscale
from iconet.view.upscaling import Upscaling

BEAT = 15.0  # seconds after which a page hears that the program is still there
SHOWN = ("series", "volume", "allow_missing")
"""Options that decide on what was read, and is seen."""

DIED = "its process was killed from outside, perhaps for lack of memory; close other programs"


class Desk:
    """Keeps the scans, and has them looked at and upscaled, one after the other.

    All of it happens in one event loop; two processes do the work.

    Args:
        folder: The private one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items: dict[str, Item] = {}
        self.drops: dict[str, Drop] = {}
        self.gone: dict[str, int] = {}
        self._version, self._changed = 0, asyncio.Event()
        self._looking, self._upscaling = Process(Looking), Process(Upscaling)
        self._look_lock = asyncio.Lock()
        self._waiting: list[Item] = []
        self._more, self._tasks = asyncio.Event(), set[asyncio.Task[None]]()
        self.ended = False

    def begin(self, named: Sequence[Path] = ()) -> None:
        """Begin to work; look at scans that were named on the command line."""
        for work in (self._run(), self._sweep(), self._warm(), *map(self._name, named)):
            self._task(work)

    def leave(self) -> None:
        """End what tells pages of changes."""
        self.ended = True
        self._tell()

    def end(self) -> None:
        """End the processes."""
        self.leave()
        for task in self._tasks:
            task.cancel()
        for process in (self._looking, self._upscaling):
            process.stop(for_good=True)

    # Files that come

    def claim(self, content: Any) -> str:
        """Make a place for a drop; returns what it is called."""
        number = secrets.token_hex(8)
        self.drops[number] = claim(content, self.folder / f"drop-{number}")
        return number

    def discard(self, number: str) -> None:
        """Remove a drop that came to nothing."""
        if (drop := self.drops.pop(number, None)) is not None:
            drop.discard()

    async def dropped(self, number: str) -> list[str]:
        """All of a drop is there: find its scans, and look at them.

        Raises:
            InputError: It is not complete, or holds no scan.
        """
        drop = self.drops.pop(number)
        if not drop.complete:
            drop.discard()
            raise InputError("the upload is incomplete; drop the files again")
        if len(drop.paths) == 1:
            return [self._add(drop.names[0], drop.paths[0], drop).id]
        top = PurePosixPath(drop.names[0]).parts[0]
        found = await self._find(drop.folder)
        if isinstance(found, Refused):
            drop.discard()
            raise InputError(found.line.replace(str(drop.folder), top))
        names = dict(zip(drop.paths, drop.names, strict=True))
        for stored, name in [*names.items()]:
            names.setdefault(stored.parent, str(PurePosixPath(name).parent))
        said = self._with_names(found.left_out, names, drop.folder)
        added = []
        for scan in found.scans:
            name = names.get(scan, top)
            added.append(self._add(top if name == "." else name, scan, drop, said).id)
        return added

    def _with_names(self, line: str, names: dict[Path, str], folder: Path) -> str:
        for stored, name in names.items():
            line = line.replace(stored.relative_to(folder).as_posix(), name)
        return line

    async def _name(self, path: Path) -> None:
        """A scan, or a folder, that was named on the command line."""
        if not path.is_dir():
            self._add(str(path), path)
            return
        found = await self._find(path)
        if isinstance(found, Refused):
            self._add(str(path), path).line = found.line
            return
        for scan in found.scans:
            self._add(str(scan), scan, said=found.left_out)

    async def _find(self, folder: Path) -> Found | Refused:
        async with self._look_lock:
            return await self._answer(self._looking, Find(folder, self.folder / "no results"))

    # Scans

    def _add(self, name: str, source: Path, drop: Drop | None = None, said: str = "") -> Item:
        number = secrets.token_hex(8)
        folder = self.folder / f"scan-{number}"
        folder.mkdir()
        item = Item(number, name, source, folder, drop, line=said)
        self.items[number] = item
        self.look(item, Options())
        return item

    def look(self, item: Item, options: Options) -> None:
        """Read a scan, by another choice of its series or volume perhaps."""
        if item.state in ("queued", "running"):
            raise InputError(f"{item.name}: is being upscaled; cancel that first")
        item.options, item.made, item.seen = options, None, None
        self._set(item, "looking")
        self._task(self._look(item))

    async def _look(self, item: Item) -> None:
        async with self._look_lock:
            look = Look(item.source, item.options, item.folder)
            answer = await self._answer(self._looking, look)
        if item.id not in self.items:
            return
        if isinstance(answer, Refused):
            self._set(item, "refused", item.shown(answer.line))
            return
        assert isinstance(answer, Seen)
        item.seen = answer
        item.layers = answer.facts.get("layers", [])
        item.about = {} if answer.about is None else {FIRST: answer.about}
        self._set(item, "choose" if "geometry" not in answer.facts else "ready")

    def upscale(self, item: Item, options: Options) -> None:
        """Put a scan into the queue.

        Raises:
            InputError: It is no scan to upscale, it is in the queue already, or no room is left.
        """
        if item.state not in ("ready", "done"):
            raise InputError(item.line or f"{item.name}: is {item.state}; wait")
        if any(getattr(options, name) != getattr(item.options, name) for name in SHOWN):
            raise InputError(f"{item.name}: another series or volume is shown; choose it first")
        check_room(self.folder, 0)
        item.options, item.progress = options, None
        self._waiting.append(item)
        self._set(item, "queued", "")
        self._more.set()

    async def cancel(self, item: Item) -> None:
        """Take a scan out of the queue, or stop what is done to it."""
        if item in self._waiting:
            self._waiting.remove(item)
            self._set(item, "done" if item.made else "ready", "Cancelled.")
        elif item.state == "running":
            self._set(item, "done" if item.made else "ready", "Cancelled.")
            await asyncio.to_thread(self._upscaling.stop)
            self._task(self._warm())

    async def remove(self, item: Item) -> None:
        """Forget a scan, with its files unless it was named on the command line."""
        await self.cancel(item)
        del self.items[item.id]
        self._version += 1
        self.gone[item.id] = self._version
        shutil.rmtree(item.folder, ignore_errors=True)
        if item.drop is not None and all(o.drop is not item.drop for o in self.items.values()):
            item.drop.discard()
        self._tell()

    async def layer(self, item: Item, key: str, volume: int) -> tuple[Path, dict[str, Any]]:
        """The file of a layer, and what goes with it.

        Raises:
            InputError: There is none, or it cannot be made.
        """
        known = [layer["key"] for layer in item.layers]
        volumes = item.seen.facts["geometry"]["volumes"] if item.seen and known else 0
        if key not in known or not 0 <= volume < volumes:
            raise InputError(f"{item.name}: has no such layer")
        # That of the scan stays when it is upscaled again.
        run = "" if key == "scan" else f"-{item.runs}"
        name = f"{key}-{volume}{run}.nii"
        path = item.folder / name
        async with self._look_lock:
            if name not in item.about:
                check_room(self.folder, 0)
                look = Look(item.source, item.options, item.folder)
                drawing = Draw(look, key, volume, path, item.made)
                item.about[name] = self._about(item, await self._answer(self._looking, drawing))
        return path, item.about[name]

    def _about(self, item: Item, answer: Drawn | Refused) -> dict[str, Any]:
        """What goes with a layer that was drawn."""
        if isinstance(answer, Refused):
            raise InputError(item.shown(answer.line))
        if answer.about is None:
            raise InputError(f"{item.name}: result and scan have other fields of view")
        return answer.about

    # What is done one after the other

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            if not self._waiting:
                self._more.clear()
                continue
            item = self._waiting.pop(0)
            item.runs += 1
            self._set(item, "running")
            await self._one(item)

    async def _one(self, item: Item) -> None:
        loop, run = asyncio.get_running_loop(), item.runs

        def tell(news: tuple[int, int]) -> None:
            loop.call_soon_threadsafe(self._advance, item, run, news)

        try:
            answer = await self._answer(self._upscaling, self._task_for(item), tell)
        except Exception as error:  # a full disk; the queue goes on
            known = isinstance(error, InputError)
            answer = Refused(f"{'' if known else type(error).__name__ + ': '}{error}")
        cancelled = item.state != "running" or item.id not in self.items
        if cancelled or not isinstance(answer, Made):
            shutil.rmtree(item.out(run), ignore_errors=True)
            if not cancelled:
                self._set(item, "done" if item.made else "ready", item.shown(answer.line))
            return
        if item.made is not None:
            shutil.rmtree(item.made.files["image"].parent, ignore_errors=True)
        item.made, item.layers = answer, answer.layers
        self._set(item, "done", item.shown(answer.line))

    def _task_for(self, item: Item) -> Upscale:
        out = item.out(item.runs)
        out.mkdir()
        seen, name = item.seen, item.source.name.lower()
        assert seen is not None
        suffix = ".nii.gz"
        if not is_kspace_file(item.source):
            if not seen.placed:
                suffix = suffix_of(item.source)
            elif name.endswith(".seg.nrrd"):  # its names of segments have no place elsewhere
                suffix = ".seg.nrrd"
        file = out / f"{item.stem}-iconet{suffix}"
        if seen.derivable and item.options.kind not in (LABELS, MASK):
            return Upscale(item.source, out / f"{item.stem}{DICOM}", file, item.options)
        return Upscale(item.source, file, None, item.options)

    def _advance(self, item: Item, run: int, progress: tuple[int, int]) -> None:
        if item.state == "running" and item.runs == run:
            item.progress = progress
            self._set(item, "running")

    async def _answer(
        self, process: Process, task: Any, tell: Callable[[Any], None] = lambda news: None
    ) -> Any:
        answer = await asyncio.to_thread(process, task, tell)
        return Refused(DIED) if isinstance(answer, Died) else answer

    async def _warm(self) -> None:
        await asyncio.gather(
            *(asyncio.to_thread(one.warm) for one in (self._looking, self._upscaling)),
            return_exceptions=True,
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(PATIENCE / 4)
            self.sweep()

    def sweep(self) -> None:
        """Remove drops that nobody goes on with, such as those of a tab that was closed."""
        for number, drop in [*self.drops.items()]:
            if time.monotonic() - drop.active > 3 * PATIENCE:
                self.discard(number)

    def _task(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What pages are told

    def _set(self, item: Item, state: str, line: str | None = None) -> None:
        item.state = state
        item.line = item.line if line is None else line
        self._version += 1
        item.version = self._version
        self._tell()

    def _position(self, item: Item) -> int:
        return self._waiting.index(item) + 1 if item in self._waiting else 0

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def events(self) -> AsyncIterator[str]:
        """Server-sent events: every scan as it is, then each that changes, and what is gone."""
        seen = 0
        yield "retry: 1000\n\n"
        while not self.ended:
            changed, now = self._changed, self._version
            for number, version in [*self.gone.items()]:
                if version > seen:
                    yield _event("gone", {"id": number})
            for item in [*self.items.values()]:
                if item.version > seen:
                    yield _event("scan", item.describe(self._position(item)))
            if seen == 0:
                yield _event("all", {})
            seen = max(now, 1)
            try:
                await asyncio.wait_for(changed.wait(), BEAT)
            except TimeoutError:
                yield ": still there\n\n"


def _event(name: str, content: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"
