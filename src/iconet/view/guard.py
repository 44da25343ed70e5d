"""Who may ask: this program's own page alone, in a browser that was given the token.

Any web page may send requests to 127.0.0.1. So the name that was asked for must be this computer's
(another one's may be pointed here), the page that asks must be ours, and the token be known.
"""

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # NiiVue's letters are in its script
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Stands before the application.

    Args:
        app: What is asked once a request is let in.
        port: That is listened on.
        token: That the address has which was printed.
        ticket: In its place, once; empty for none.
    """

    def __init__(self, app: "ASGIApp", *, port: int, token: str, ticket: str = "") -> None:
        self._app, self._token, self._ticket = app, token, ticket
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"iconet-view-{port}"  # browsers share cookies between ports

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Let a request in, or answer it with one line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from starlette.datastructures import MutableHeaders
        from starlette.responses import PlainTextResponse, RedirectResponse, Response

        async def send_with_headers(message: "dict") -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer: Response
        refused = self._refused(scope)
        if refused is None and scope["path"] == "/" and self._given(scope):
            # Without the token in the address, where it would be shown and kept.
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
        elif refused is None and self._known(scope):
            await self._app(scope, receive, send_with_headers)  # type: ignore[arg-type]
            return
        else:
            line = refused or "open the address that iconet view printed; it holds the token"
            answer = PlainTextResponse(line + "\n", status_code=403)
        await answer(scope, receive, send_with_headers)  # type: ignore[arg-type]

    def _refused(self, scope: "Scope") -> str | None:
        host, origin = _header(scope, b"host"), _header(scope, b"origin")
        if host not in self._hosts:
            return "this address is not this program's; open the one that iconet view printed"
        changes = scope["method"] not in ("GET", "HEAD")
        if (changes or origin is not None) and origin != f"http://{host}":
            return "another page asked for this; use the page that iconet view opened"
        # Links to the page itself are followed; browsers keep the cookie from all else.
        if _header(scope, b"sec-fetch-site") == "cross-site" and scope["path"] != "/":
            return "another page asked for this; use the page that iconet view opened"
        return None

    def _given(self, scope: "Scope") -> bool:
        values = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if any(self._right(value) for value in values):
            return True
        ticket = self._ticket
        if ticket and any(hmac.compare_digest(v.encode(), ticket.encode()) for v in values):
            self._ticket = ""
            return True
        return False

    def _known(self, scope: "Scope") -> bool:
        try:
            cookies = SimpleCookie(_header(scope, b"cookie") or "")
        except CookieError:
            return False
        return self._cookie in cookies and self._right(cookies[self._cookie].value)

    def _right(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), self._token.encode())


def _header(scope: "Scope", name: bytes) -> str | None:
    """Its value; one that is there twice is none that could be right."""
    values = [value for key, value in scope["headers"] if key == name]
    return ", ".join(value.decode("latin-1") for value in values) if values else None
