"""What the page may ask for, and the answers."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.view import choices
from iconet.view.desk import Desk
from iconet.view.drops import take
from iconet.view.guard import Guard
from iconet.view.item import Item

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PAGE = Path(__file__).parent / "page"
"""What is built of `web/`."""

TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LARGEST_JSON = 4 * 10**6  # bytes: the names of 20,000 files
PIECE = 1 << 20  # bytes that are read of a file at a time


def make_app(
    desk: Desk, *, port: int, token: str, ticket: str = "", named: tuple[Path, ...] = ()
) -> "Starlette":
    """The application behind its guard.

    Args:
        desk: The scans.
        port: That is listened on.
        token: That lets a browser in.
        ticket: That does so once; empty for none.
        named: Scans that were named on the command line.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Route

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        desk.begin(named)
        try:
            yield
        finally:
            desk.end()

    answers = Answers(desk)
    routes = [
        ("/", "GET", answers.page),
        ("/assets/{name}", "GET", answers.asset),
        ("/api/offered", "GET", answers.offered),
        ("/api/events", "GET", answers.events),
        ("/api/drops", "POST", answers.claim),
        ("/api/drops/{drop}/done", "POST", answers.dropped),
        ("/api/drops/{drop}/{number:int}", "PUT", answers.put),
        ("/api/scans/{scan}", "DELETE", answers.remove),
        ("/api/scans/{scan}/look", "POST", answers.look),
        ("/api/scans/{scan}/upscale", "POST", answers.upscale),
        ("/api/scans/{scan}/cancel", "POST", answers.cancel),
        ("/api/scans/{scan}/layers/{key}", "GET", answers.layer),
        ("/api/scans/{scan}/files/{key}", "GET", answers.file),
    ]
    return Starlette(
        routes=[Route(path, _said(answer), methods=[method]) for path, method, answer in routes],
        middleware=[Middleware(Guard, port=port, token=token, ticket=ticket)],
        lifespan=lifespan,
    )


Answer = Callable[["Request"], Awaitable["Response"]]


def _said(answer: Answer) -> Answer:
    """What is wrong with a call becomes one line, as on the command line."""

    async def said(request: "Request") -> "Response":
        from starlette.requests import ClientDisconnect
        from starlette.responses import JSONResponse

        try:
            return await answer(request)
        except InputError as error:
            line = " ".join(str(error).split())
            return JSONResponse({"line": line}, status_code=400)
        except ClientDisconnect:
            return JSONResponse({"line": "the page has gone"}, status_code=400)

    return said


class Answers:
    """One method for each thing that may be asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._assets = {path.name: path for path in (PAGE / "assets").glob("*") if path.is_file()}

    async def page(self, request: "Request") -> "Response":
        """The page itself."""
        from starlette.responses import FileResponse

        return FileResponse(PAGE / "index.html", media_type="text/html")

    async def asset(self, request: "Request") -> "Response":
        """A script or a style of the page, of those that were built."""
        from starlette.responses import FileResponse, PlainTextResponse

        path = self._assets.get(request.path_params["name"])
        if path is None:
            return PlainTextResponse("not there\n", status_code=404)
        return FileResponse(path, media_type=TYPES.get(path.suffix, "application/octet-stream"))

    async def offered(self, request: "Request") -> "Response":
        """What can be chosen."""
        return _json(choices.offered())

    async def events(self, request: "Request") -> "Response":
        """What happens, as it happens."""
        from starlette.responses import StreamingResponse

        return StreamingResponse(self._desk.events(), media_type="text/event-stream")

    async def claim(self, request: "Request") -> "Response":
        """Files are to come."""
        return _json({"drop": self._desk.claim(await _content(request))})

    async def put(self, request: "Request") -> "Response":
        """A file comes."""
        number, index = request.path_params["drop"], request.path_params["number"]
        drop = self._desk.drops.get(number)
        if drop is None or index >= len(drop.names):
            raise InputError("nothing was said of this file before; drop it again")
        whole = False
        try:
            await take(request, drop, index)
            whole = True
        finally:
            if not whole:
                self._desk.discard(number)
        return _json({})

    async def dropped(self, request: "Request") -> "Response":
        """All files are there."""
        if request.path_params["drop"] not in self._desk.drops:
            raise InputError("the upload is incomplete; drop the files again")
        return _json({"scans": await self._desk.dropped(request.path_params["drop"])})

    async def look(self, request: "Request") -> "Response":
        """Read a scan by other choices."""
        self._desk.look(self._item(request), choices.options_of(await _content(request)))
        return _json({})

    async def upscale(self, request: "Request") -> "Response":
        """Into the queue."""
        self._desk.upscale(self._item(request), choices.options_of(await _content(request)))
        return _json({})

    async def cancel(self, request: "Request") -> "Response":
        """Out of the queue, or stopped."""
        await self._desk.cancel(self._item(request))
        return _json({})

    async def remove(self, request: "Request") -> "Response":
        """Forget a scan."""
        await self._desk.remove(self._item(request))
        return _json({})

    async def layer(self, request: "Request") -> "Response":
        """A layer as NIfTI, and what goes with it in a header."""
        try:
            volume = int(request.query_params.get("volume", "0"))
        except ValueError:
            volume = -1
        path, about = await self._desk.layer(
            self._item(request), request.path_params["key"], volume
        )
        return _file(path, None, {"x-about": json.dumps(about)})

    async def file(self, request: "Request") -> "Response":
        """A file of a result, to be kept."""
        item = self._item(request)
        path = None if item.made is None else item.made.files.get(request.path_params["key"])
        if path is None or not path.is_file():
            raise InputError(f"{item.name}: has no such file; upscale it first")
        return _file(path, path.name, {})

    def _item(self, request: "Request") -> Item:
        item = self._desk.items.get(request.path_params["scan"])
        if item is None:
            raise InputError("this scan is gone; drop it again")
        return item


async def _content(request: "Request") -> Any:
    """What a request says, in JSON of a sound size."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_JSON:
            raise InputError("too many names at a time; drop one series alone")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("not JSON; use the page that iconet view opened") from None


def _json(content: Any) -> "Response":
    from starlette.responses import JSONResponse

    return JSONResponse(content)


def _file(path: Path, name: str | None, headers: dict[str, str]) -> "Response":
    from starlette.responses import FileResponse

    class Pieces(FileResponse):
        chunk_size = PIECE

    return Pieces(path, media_type="application/octet-stream", filename=name, headers=headers)
