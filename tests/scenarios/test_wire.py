"""What the daemon sends is what the commands read: a key with two spellings would be read as "nothing is missing"."""

from __future__ import annotations

import json
import os
from typing import Any, ClassVar

import pytest

from netd.cli.main import main
from tests.support.host import Host

#: A state with something of everything: files that are not in force, that are ignored, a repair, a process left behind.
LAB = """\
[bridge.br0]
addresses = ["10.1.0.1/24"]
gateway = "10.1.0.1"
[namespace.a.veth.eth0]
peer = { name = "va", master = "br0" }
"""


class Message(dict[str, Any]):
    """A JSON object that remembers which keys were asked for, and which keys any object had."""

    asked: ClassVar[set[str]] = set()
    known: ClassVar[set[str]] = set()

    def __init__(self, pairs: Any) -> None:
        super().__init__(pairs)
        self.known.update(self)

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> type[Message]:
    """All that commands read from the daemon in this process."""
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda text: real(text, object_pairs_hook=Message))
    Message.asked.clear()
    Message.known.clear()
    return Message


def test_each_key_that_a_command_reads_is_one_that_the_daemon_sends(
    host: Host, replies: type[Message], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    sleeper = host.start("sleep", "1000", ns="a")
    host.until(lambda: host.run("pgrep", "-xf", "sleep 1000"), "it runs")
    host.run("ip", "netns", "del", "a")
    host.until(lambda: host.status()["stranded"], "a process is left")
    host.netd("fault", "down", "br0")
    host.write("x.toml", "[bridge.")
    host.write("y.conf", "")
    host.netd("reload", check=1)
    # The socket is that of the pretend host; the command runs here, where what it reads is seen.
    monkeypatch.chdir(host.root / "run" / "netd")
    for arguments in (
        ("status",), ("status", "--all"), ("status", "a"), ("status", "--state", "ok"), ("status", "--list", "names"),
        ("wait",), ("wait", "--strict", "--timeout", "0.1"), ("wait", "bridge/no", "--timeout", "0.1"), ("wait", "br"),
        ("reload",),
    ):  # fmt: skip
        main(["--state-dir", ".", *arguments])
    assert "is invalid: " in capsys.readouterr().err
    sleeper.kill()
    assert replies.asked > {"objects", "files", "stranded", "ignored", "not_ready", "errors", "summary", "last_good"}
    assert replies.asked - replies.known == set(), "no answer has them"


def test_each_key_that_a_command_sends_is_one_that_the_daemon_reads(host: Host) -> None:
    host.daemon(module="tests.support.reading")
    for arguments in (("status",), ("wait", "--timeout", "1"), ("reload",)):
        host.netd(*arguments)
    host.netd("wait", "--strict", "--timeout", "0.1", "bridge/no", check=1)
    unread = {line for line in host.file("/run/unread").read_text().splitlines() if line}
    assert unread == set()
    assert os.path.getsize(host.file("/run/unread")) == 4, "one line for each request"
