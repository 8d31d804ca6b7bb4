"""``netd status``: how much is shown, and in which order, for labs of any size."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netd.cli.main import VERBS, module_of
from netd.cli.view.status import Query, screen
from netd.cli.view.times import ago, repairs, span
from netd.errors import UsageError

NOW = 1_000_000.0
FILE = "/etc/netd/lab.toml"
REFUSED = "the kernel refused: Invalid argument: MTU smaller than the minimum of a device"


def one(name: str, **more: Any) -> dict[str, Any]:
    netns, _, own = name.rpartition(":") if "::" not in name else ("", "", name)
    kind, _, rest = own.partition("/")
    row = {"object": name, "kind": kind, "namespace": netns, "name": rest, "file": FILE, "state": "ok", "reason": ""}
    return {**row, "repairs": 0, "last_repair": None, **more}


def lab(count: int) -> dict[str, Any]:
    """So many namespaces, of which one has a failed link, and another a repaired one and a pending one."""
    found = [one("bridge/br0")]
    for number in range(count):
        found += [one(f"namespace/h{number}"), one(f"h{number}:veth/eth0"), one(f"h{number}:address/eth0/10.0.0.1/16")]
    found[-2] |= {"state": "failed", "reason": REFUSED}
    found[5] |= {"repairs": 1, "last_repair": NOW - 12}
    found[6] |= {"state": "pending", "reason": "waits for eth1"}
    files = [{"path": FILE, "state": "ok", "errors": []}]
    return {"state": "degraded", "files": files, "objects": found, "started": NOW - 11600}


def shown(reply: dict[str, Any], lines: int = 24, **more: Any) -> list[str]:
    asked = {"names": (), "states": (), "everything": False, **more}
    query = Query(now=NOW, lines=lines, columns=100, **asked)
    return screen(reply, query)


def test_three_namespaces() -> None:
    assert shown(lab(3)) == [
        "degraded: 8 ok, 1 pending, 1 failed; 1 repair, 12 s ago; up 3 h 13 min",
        "",
        "STATE    OBJECT                       REASON",
        f"failed   h2:veth/eth0                 {REFUSED}",
        "pending  h1:address/eth0/10.0.0.1/16  waits for eth1",
        "",
        "STATE  FILE                OBJECTS                    REPAIRS",
        "ok     /etc/netd/lab.toml  8 ok, 1 pending, 1 failed  1 repair, 12 s ago",
        "",
        "STATE    NAMESPACE  OBJECTS          REPAIRS",
        "failed   h2         2 ok, 1 failed",
        "pending  h1         2 ok, 1 pending  1 repair, 12 s ago",
        "ok       (host)     1 ok",
        "ok       h0         3 ok",
    ]


@pytest.mark.parametrize("count", [50, 1000])
@pytest.mark.parametrize("lines", [24, 50])
def test_many_namespaces_fit_on_one_screen(count: int, lines: int) -> None:
    said = shown(lab(count), lines)
    assert len(said) < lines, "the prompt has a line, too"
    assert said[3].split()[:2] == ["failed", f"h{count - 1}:veth/eth0"]
    assert said[4].split()[:2] == ["pending", "h1:address/eth0/10.0.0.1/16"]
    heads = [line.split()[:2] for line in said if line.startswith(("failed", "pending"))]
    assert heads[2:] == [["failed", f"h{count - 1}"], ["pending", "h1"]], "their namespaces come first"
    assert said[-1].startswith("and ") and said[-1].endswith(" more namespaces, all ok: 'netd status --all' lists them")
    listed = len(said) - 1 - said.index(next(line for line in said if "NAMESPACE" in line)) - 1
    assert int(said[-1].split()[1]) + listed == count + 1


def test_all_shows_all() -> None:
    said = shown(lab(50), everything=True)
    assert sum("address/eth0" in line for line in said) == 50 and not any("more" in line for line in said)


def test_a_name_is_an_object_a_link_a_namespace_or_a_file() -> None:
    def objects(*names: str) -> list[str]:
        found = shown(lab(3), names=names)[3:]
        return [line.split()[1] for line in found if "/" in line and "FILE" not in line and FILE not in line]

    assert objects("h0:veth/eth0") == ["h0:veth/eth0"]
    assert objects("h0:eth0") == ["h0:veth/eth0", "h0:address/eth0/10.0.0.1/16"]
    assert objects("br0") == ["bridge/br0"]
    assert objects("h0") == ["namespace/h0", "h0:veth/eth0", "h0:address/eth0/10.0.0.1/16"]
    assert len(objects("lab.toml")) == len(objects(FILE)) == 10
    assert objects("br0", "h0:eth0")[0] == "bridge/br0"
    with pytest.raises(UsageError, match="nothing called 'brr0': did you mean 'bridge/br0'"):
        objects("brr0")


def test_names_need_no_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert len(shown(lab(3), names=[FILE])) > 10
    with pytest.raises(UsageError):
        shown(lab(3), names=["nothing"])


def test_a_state_narrows() -> None:
    said = shown(lab(50), states=["failed", "pending"])
    assert [line.split()[0] for line in said[3:]] == ["failed", "pending"]


def test_hundreds_of_failures_are_counted_not_poured_out() -> None:
    reply = lab(300)
    for row in reply["objects"][1:]:
        row |= {"state": "failed", "reason": REFUSED}
    said = shown(reply, 24)
    assert len(said) < 24
    assert any(line.startswith("and 8") and line.endswith("more: 'netd status --all' lists them") for line in said)


def test_a_file_that_is_not_in_force_comes_first_with_its_errors() -> None:
    reply = lab(3)
    error = "/etc/netd/x.toml:2:1: bridge.br0: unknown key 'mtuu': did you mean 'mtu'?\n    2 | mtuu = 3\n      | ^^^^"
    reply["files"].append({"path": "/etc/netd/x.toml", "state": "invalid", "errors": [error], "since": NOW - 300})
    reply["state"] = "incomplete"
    said = shown(reply, 40)
    assert said[0].startswith("incomplete: 1 file is not in force as written; 8 ok"), "there is no last good version"
    reply["files"][-1]["last_good"] = True
    said = shown(reply, 40)
    assert said[0].startswith(
        "incomplete: 1 file is not in force as written, its last good version since 5 min ago; 8 ok"
    )
    at = next(number for number, line in enumerate(said) if line.startswith("invalid"))
    assert said[at + 1] == "    /etc/netd/x.toml:2:1: bridge.br0: unknown key 'mtuu': did you mean 'mtu'?"
    assert said[at + 3] == "          | ^^^^" and FILE in said[at + 4]


def test_names_from_outside_cannot_move_the_cursor() -> None:
    reply = lab(3)
    reply["objects"][0] |= {"state": "failed", "reason": "a \x1b[2Jb\nc"}
    assert "\x1b" not in "\n".join(shown(reply))


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_shows_the_same_rows_in_color(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Screen())
    reply = lab(3)
    reply["files"][0]["warnings"] = [f"{FILE}:1:1: warning: {REFUSED * 3}"]
    lines = screen(reply, Query((), (), False, NOW, 24, columns))
    text = "\n".join(lines)
    if columns > 40:
        assert len(lines) < 24, "long texts take more lines, and leave fewer for the rest"
    assert "\x1b[31mfailed" in text and "\x1b[33mpending" in text and "\x1b[32mok" in text
    assert os.environ["COLUMNS"] == str(columns)


def test_rich_is_imported_for_a_table_on_a_terminal_only() -> None:
    imported = "".join(f"import {module_of(verb)}; " for verb in VERBS)
    found = "[one for one in sys.modules if one.startswith('rich')]"
    ask = f"import sys; {imported}import netd.daemon.daemon; print({found})"
    assert subprocess.check_output([sys.executable, "-c", ask], text=True) == "[]\n"


def test_times() -> None:
    assert [ago(each) for each in (0, 12, 61, 7300)] == ["0 s ago", "12 s ago", "1 min ago", "2 h ago"]
    assert [span(each) for each in (0, 59, 60, 3600, 11600, 180000)] == [
        "0 s", "59 s", "1 min", "1 h", "3 h 13 min", "2 d 2 h",
    ]  # fmt: skip
    assert repairs(1, NOW - 12, NOW) == "1 repair, 12 s ago" and repairs(0, None, NOW) == ""
    assert repairs(3, NOW - 60, NOW) == "3 repairs, 1 min ago"
