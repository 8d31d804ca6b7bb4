"""A pretend host with a lab, its daemon and its page, and a browser inside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.host import Host

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
LAB = """
[sysctl]
net.ipv4.ip_forward = 1
[bridge.br0]
addresses = ["10.5.0.254/24"]
[namespace."h{1..3}".veth.eth0]
addresses = ["{net('10.5.0.0/24', n)}"]
gateway = "10.5.0.254"
peer = { name = "h{n}", master = "br0" }
"""
#: What a page may take, in milliseconds: far above what any machine needs.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture
def lab(host: Host) -> Host:
    host.sh("ip link set lo up")
    host.write("lab.toml", LAB)
    host.daemon()
    serve(host)
    return host


def serve(host: Host, *args: str) -> None:
    process = host.netd_start("web", *args)
    host.until(lambda: "the page is at" in process.text(), "the page is served")


@contextmanager
def browser(host: Host) -> Iterator[Browser]:
    """Chromium inside the pretend host, by a program that enters it."""
    program = Path(host.logs) / "chromium"
    command = " ".join(host.inside((CHROMIUM, "--no-sandbox")))
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(program))
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
def page(lab: Host) -> Iterator[Page]:
    """The page of the lab, open; no error of a script, and no breach of its policy, may happen."""
    with browser(lab) as found:
        page = found.new_page(viewport={"width": 1200, "height": 800})
        page.set_default_timeout(PATIENCE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
        page.goto("http://127.0.0.1:8080/")
        page.wait_for_selector("#rows tr")
        yield page
        assert not errors, errors
