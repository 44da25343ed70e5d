"""Starts the page's server, opens the browser, and removes all of it at the end."""

import secrets
import signal
import socket
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from iconet.errors import InputError
from iconet.view.app import PAGE, make_app
from iconet.view.desk import Desk
from iconet.view.folder import private_folder

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

PATIENCE = 2  # seconds for pages to hear that it ends
UNBUILT = "the page is not built in this source checkout; run: make web"


def view(scans: Sequence[Path], *, browser: bool = True) -> None:
    """Serve the page on this computer alone, until the program is stopped.

    Args:
        scans: To begin with: files or folders.
        browser: Whether to open one; else the address is printed alone.

    Raises:
        InputError: A path that is not there, or the page is not built.
    """
    import starlette  # noqa: F401  # where it is missing this is said before anything is begun

    if not (PAGE / "index.html").is_file():
        raise InputError(UNBUILT)
    for path in scans:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; check the path")
    token = secrets.token_urlsafe(32)
    with private_folder() as folder, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        desk, ticket = Desk(folder), secrets.token_urlsafe(32)
        app = make_app(desk, port=port, token=token, ticket=ticket, named=tuple(scans))
        server = _server(app, desk)
        if hasattr(signal, "SIGHUP"):  # the terminal was closed
            signal.signal(signal.SIGHUP, server.handle_exit)
        listening.listen()  # so that a browser that is quick waits
        print(f"http://127.0.0.1:{port}/?token={token}", flush=True)
        if browser:
            # Other users may see what a browser is started with, so that is good for one use.
            webbrowser.open(f"http://127.0.0.1:{port}/?token={ticket}")
        server.run(sockets=[listening])


def _server(app: "Starlette", desk: Desk) -> "uvicorn.Server":
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            desk.leave()  # else open pages would be waited for
            super().handle_exit(sig, frame)

    return Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=PATIENCE,
        )
    )
