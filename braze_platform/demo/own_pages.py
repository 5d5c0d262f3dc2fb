"""Who may talk to the Dagster UI on this machine: its own pages, and no other page that a browser has open.

The UI has no login. A page of the web can make the browser send requests to `localhost`, and by a name that it makes
resolve to this machine (DNS rebinding) read the answers, too. What the browser says of a request cannot be forged by a
page: `Host`, `Origin` (https://www.rfc-editor.org/rfc/rfc6454) and `Sec-Fetch-*` (https://www.w3.org/TR/fetch-metadata/).
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAMES = ("localhost", "127.0.0.1", "[::1]")
_POLICY_VIOLATION = 1008


class OwnPagesOnly:
    """ASGI middleware that answers 403, or closes a websocket, where a request does not come from the UI itself."""

    def __init__(self, app: ASGIApp, *, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one websocket, or the server's start and end, which are none of ours."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = why_refused(scope, self._port)
        if refused is None:
            await self._app(scope, receive, _never_framed(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "not of this UI"})
        else:
            await PlainTextResponse(f"Refused: {refused}\n", status_code=403)(scope, receive, send)


def why_refused(scope: Scope, port: int) -> str | None:
    """What speaks against a request or a websocket to the UI at a port of this machine, and the remedy; None: nothing.

    A page of the UI may be opened from anywhere; all else has to come from a page of the UI.
    """
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    known = {f"{name}:{port}" for name in _NAMES} | (set(_NAMES) if port == 80 else set())
    if len(hosts) != 1 or hosts[0].lower() not in known:
        return f"this UI is http://localhost:{port} and has no other name. Forward the same port where it is far away."
    is_own = [origin.lower() for origin in origins] == [f"http://{hosts[0].lower()}"]
    site = headers.get("sec-fetch-site", "")
    if (origins and not is_own) or (
        site not in ("", "none", "same-origin") and not _opens_a_page(scope, headers)
    ):
        return "another page asks for it. Open the UI itself."
    if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
        if not is_own and site != "same-origin":
            return f"it does not say from which page it comes. A program sends `Origin: http://{hosts[0]}`."
    elif scope["path"].rstrip("/") == "/graphql" and scope["query_string"]:
        return "GraphQL is asked by POST."
    return None


def _opens_a_page(scope: Scope, headers: Headers) -> bool:
    """Whether a link was followed to it: as a page of its own, not as a part of another one."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _never_framed(send: Send) -> Send:
    """Say to the browser that no other page may show this one as a part of itself, and so lead clicks to it."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-frame-options", b"SAMEORIGIN")]
        await send(message)

    return sending
