"""``netd web``: the live page of the network, for a browser. Exit: 0 after Ctrl-C or SIGTERM, 1 error."""

from __future__ import annotations

import argparse
import ipaddress
import os
import stat

from netd.errors import UsageError

#: The default of --listen.
LISTEN = "127.0.0.1:8080"
#: Bytes of a token, at least.
SHORTEST = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd web``."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--listen", metavar="ADDRESS:PORT", default=LISTEN, help=f"where to listen ({LISTEN})")
    where.add_argument("--unix", metavar="PATH", help="listen on a socket of the file system, for a proxy")
    parser.add_argument(
        "--token-file", metavar="FILE", help="ask for the token in this file; needed beyond this machine"
    )


def run(options: argparse.Namespace) -> int:
    """Serves the page until it is stopped."""
    token = read_token(options.token_file) if options.token_file else ""
    try:
        from aiohttp import web

        from netd.web.server import STATIC, application
    except ImportError:
        raise UsageError("the page needs aiohttp: 'pip install netd[web]'") from None
    if not (STATIC / "vendor" / "cytoscape.min.js").exists():
        raise UsageError("the page's libraries are not installed: 'make web-assets' fetches them")
    address, port = ("", 0) if options.unix else listen_address(options.listen)
    if address and not ipaddress.ip_address(address).is_loopback and not token:
        raise UsageError(f"{address} can be reached from other machines: write --token-file FILE, too")
    app = application(options.state_dir, token, address)
    shown = options.unix or f"http://{f'[{address}]' if ':' in address else address}:{port}/"
    print(f"netd: the page is at {shown}" + (" (open it with ?token=... once)" if token else ""), flush=True)
    try:
        if options.unix:
            web.run_app(app, path=options.unix, print=None)
        else:
            web.run_app(app, host=address, port=port, print=None)
    except OSError as error:
        raise UsageError(f"{options.unix or options.listen}: {error.strerror}") from None
    return 0


def listen_address(text: str) -> tuple[str, int]:
    """ADDRESS:PORT; UsageError."""
    address, _, port = text.rpartition(":")
    try:
        found = str(ipaddress.ip_address(address.strip("[]")))
    except ValueError:
        raise UsageError(f"--listen {text}: write ADDRESS:PORT, such as {LISTEN} or [::1]:8080") from None
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"--listen {text}: a port is a number from 1 to 65535")
    return found, int(port)


def read_token(path: str) -> str:
    """The first line of a file that only its owner (and group) can read; UsageError."""
    try:
        with open(path, encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.readline().strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or 'the token is plain ASCII'}") from None
    if stat.S_IMODE(mode) & 0o007:
        raise UsageError(f"{path}: everybody can read the token: 'chmod o= {path}'")
    if len(token) < SHORTEST:
        raise UsageError(f"{path}: the token is shorter than {SHORTEST} characters: 'openssl rand -hex 16' makes one")
    return token
