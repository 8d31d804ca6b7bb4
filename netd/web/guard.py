"""Who may ask: only names of this machine (DNS rebinding), and beyond loopback only with the token."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

COOKIE = "netd-token"
NAMES = frozenset({"localhost"})
#: What a page may do: nothing but what this process serves.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(token: str, listens_on: str) -> Middleware:
    """Refuses requests with 403 (a wrong host) or 401 (no token). ``listens_on``: the address, "" for a unix socket."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if listens_on and not is_ours(request.host, listens_on):
            return web.Response(status=403, text="this host name is not one of this machine\n", headers=HEADERS)
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="this page only reads\n", headers=HEADERS)
        if token and not has_token(request, token):
            return web.Response(status=401, text="open the page with ?token=... once\n", headers=HEADERS)
        if token and "token" in request.query:
            answer: web.StreamResponse = web.HTTPSeeOther(request.path)
            answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
            return answer
        return await handler(request)

    return middleware


def is_ours(host: str, listens_on: str) -> bool:
    """Whether a Host header names this machine by an address, or as localhost."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]")
    if name in NAMES:
        return True
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return False
    own = ipaddress.ip_address(listens_on)
    return found == own or found.is_loopback or own.is_unspecified


def has_token(request: web.Request, token: str) -> bool:
    """In the address (once), in the cookie, or as a bearer."""
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    given = (request.query.get("token", ""), request.cookies.get(COOKIE, ""), bearer)
    return any(hmac.compare_digest(each.encode(), token.encode()) for each in given)
