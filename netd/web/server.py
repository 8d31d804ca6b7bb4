"""The server: files of the page, and what the daemon says as JSON and as a stream (server-sent events)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from .daemon_link import Away, DaemonLink
from .guard import HEADERS, guard

STATIC = Path(__file__).parent / "static"
LINK: web.AppKey[DaemonLink] = web.AppKey("link", DaemonLink)
#: Seconds after which a silent stream shows that it lives.
BEAT = 15.0
AWAY = {"error": "netd is away: the daemon does not answer"}
#: The words of a trace, from the address of the page.
WORDS = ("from", "to", "protocol")


def application(state_dir: str, token: str, listens_on: str) -> web.Application:
    """All routes. The daemon need not run yet."""
    app = web.Application(middlewares=[guard(token, listens_on)])
    app[LINK] = DaemonLink(state_dir)
    app.cleanup_ctx.append(following)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", index)
    app.router.add_get("/api/events", events)
    for name in ("graph", "show", "rates", "status", "trace"):
        app.router.add_get(f"/api/{name}", answer)
    app.router.add_static("/assets/", STATIC)
    return app


async def following(app: web.Application) -> AsyncIterator[None]:
    """Hears the daemon while the server runs."""
    task = asyncio.create_task(app[LINK].follow())
    yield
    app[LINK].close()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer."""
    response.headers.update(HEADERS)


async def index(request: web.Request) -> web.StreamResponse:
    """The page."""
    return web.FileResponse(STATIC / "index.html")


async def answer(request: web.Request) -> web.StreamResponse:
    """What the daemon answers, as it is."""
    link, verb = request.app[LINK], request.path.rpartition("/")[2]
    try:
        if verb == "graph":
            body = await link.graph()
        else:
            names = ("name",) if verb == "show" else WORDS if verb == "trace" else ()
            body = await link.ask({"verb": verb} | {name: request.query.get(name, "") for name in names})
    except Away:
        return web.json_response(AWAY, status=503)
    return web.Response(body=body or b"{}", content_type="application/json")


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    stream = request.app[LINK].events()
    pending = asyncio.ensure_future(anext(stream))
    with contextlib.suppress(ConnectionResetError, StopAsyncIteration):
        while True:
            done, _ = await asyncio.wait({pending}, timeout=BEAT)
            if not done:
                await response.write(b": still here\n\n")
                continue
            text = json.dumps(pending.result())
            pending = asyncio.ensure_future(anext(stream))
            await response.write(f"data: {text}\n\n".encode())
    pending.cancel()
    return response
