"""What the journal is told, which a catalog explains; pages and completions that cover all commands."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import completion
import pytest

from netd.cli.main import VERBS
from netd.config.parse.parser import parse
from netd.model.change import Action, Change, ChangeResult, FieldDiff
from netd.model.desired import Desired
from netd.model.key import Key
from netd.report.change_log import ChangeLog
from netd.report.log import journal_message
from netd.report.messages import MESSAGES
from netd.report.notify import value

TOP = Path(__file__).resolve().parents[2]


def test_each_kind_of_event_has_an_identifier_of_its_own_and_the_catalog_explains_it() -> None:
    known = [message.id for message in MESSAGES.values()]
    assert len(set(known)) == len(known)
    assert re.findall(r"^-- ([0-9a-f]{32})$", (TOP / "units/netd.catalog").read_text(), re.M) == known


def test_what_systemd_is_told_is_one_line_of_utf8_without_a_nul_and_fits_a_message() -> None:
    assert value("a → ж\nREADY=1\r\0\u2028\udcff") == "a → ж READY=1 \\x00 \\udcff"
    long = value("первое " + "🖧" * 9000 + " последнее")
    assert long.startswith("первое") and long.endswith("последнее")
    assert len(f"READY=1\nSTATUS={long}".encode()) <= 4096


def test_an_event_becomes_fields_of_the_native_protocol() -> None:
    event = {"event": "a: b\nc", "level": "info", "message": "repaired", "object": "veth/a", "diff": {"mtu": 1}}
    assert journal_message(event) == (
        b"MESSAGE\n\x06\x00\x00\x00\x00\x00\x00\x00a: b\nc\nPRIORITY=5\nSYSLOG_IDENTIFIER=netd\n"
        b"MESSAGE_ID=" + MESSAGES["repaired"].id.encode() + b'\nNETD_OBJECT=veth/a\nNETD_DIFF={"mtu": 1}\n'
    )


def run(script: str, argument: str) -> str:
    command = [sys.executable, str(TOP / "package" / script), argument]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("page", ["netd.8", "netd.toml.5"])
def test_the_manual_page_has_all_of_its_sections(page: str) -> None:
    text = run("manual.py", page)
    wanted = VERBS if page == "netd.8" else ("LINKS", "SYSCTLS", "ERRORS", "vxlan")
    assert [word for word in wanted if not re.search(rf"^##? (netd )?{word}\b", text, re.M)] == []
    assert "|---" not in text, "no table is left"


def words_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Each argument without choices, and option with a value, that a user has to write."""
    for one in completion.every_parser(parser):
        for action in one._actions:
            if action.nargs != 0 and not action.choices and action.help != argparse.SUPPRESS:
                yield f"{one.prog} {action.metavar or action.dest}", action


def test_each_argument_is_completed_or_one_that_only_its_user_knows() -> None:
    own = ("SECONDS", "PORT", "DURATION", "NUMBER", "COUNT", "EXPRESSION", "FILTER", "ADDRESS", "SETTING")
    found = dict(words_of(completion.parser()))
    assert [name for name, action in found.items() if not hasattr(action, "complete") and not name.endswith(own)] == []


def test_netd_toml_5_ends_with_examples_that_netd_takes() -> None:
    text = run("manual.py", "netd.toml.5")
    examples = re.findall(r"^```toml\n(.*?)^```", text.partition("# EXAMPLES")[2], re.M | re.S)
    assert len(examples) == 2 and "# FILES" in text
    for example in examples:
        assert parse("x.toml", example.encode()).problems == ()


def test_netd_8_has_an_entry_for_each_command_and_the_usual_sections() -> None:
    text = run("manual.py", "netd.8")
    heads = re.findall(r"^# ([A-Z ]+)$", text, re.M)
    for usual in ("SYNOPSIS", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"):
        assert usual in heads
    entries = dict(re.findall(r"^## netd (\w+).*?\n\n(.+?)(?=^#)", text, re.M | re.S))
    assert list(entries) == list(VERBS)
    assert [verb for verb, entry in entries.items() if "Exit status: " not in entry] == []
    assert ":   0 converged" not in text, "the commands are no table any more"
    examples = text.partition("# EXAMPLES")[2].partition("# SEE ALSO")[0]
    assert "`netd diff --against lab.toml`" in examples and "| `ok`" not in text and "caret" not in examples


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_completion_knows_all_commands(shell: str) -> None:
    text = run("completion.py", shell)
    assert [verb for verb in VERBS if verb not in text] == []
    assert "--metrics-port" in text


def logged(action: Action, *, drift: bool, desired: bool = True, **more: Any) -> dict[str, Any]:
    """The event of one change of br0."""
    events: list[dict[str, Any]] = []

    class Log:
        """Keeps what is logged."""

        def info(self, event: str, **fields: Any) -> None:
            events.append({"event": event, "level": "info", **fields})

    log: Any = Log()
    key = Key("", "bridge", "br0")
    fields = {} if action == "delete" else {"mtu": FieldDiff(1400, 1300)}
    change = Change(key, action, fields, "a.toml", Desired(key, {}, ()) if desired else None)
    writer = ChangeLog(log)
    writer.resyncing = more.pop("resyncing", False)
    writer.done(ChangeResult(change, 7, 0.001, drift, **more))
    return events[0]


@pytest.mark.parametrize(
    ("action", "drift", "text"),
    [
        ("create", False, "bridge/br0 created: mtu 1300 → 1400"),
        ("update", False, "bridge/br0 changed: mtu 1300 → 1400"),
        ("recreate", False, "bridge/br0 recreated: mtu 1300 → 1400"),
        ("delete", False, "bridge/br0 removed"),
        ("create", True, "bridge/br0 repaired: recreated, mtu 1300 → 1400"),
        ("update", True, "bridge/br0 repaired: mtu 1300 → 1400"),
        ("recreate", True, "bridge/br0 repaired: recreated, mtu 1300 → 1400"),
        ("delete", True, "bridge/br0 repaired: removed"),
    ],
)
def test_the_log_says_what_was_done(action: Action, drift: bool, text: str) -> None:
    assert logged(action, drift=drift)["event"] == text


def test_a_value_that_no_file_declares_any_more_is_restored() -> None:
    assert logged("update", drift=False, desired=False)["event"] == "bridge/br0 restored: mtu 1300 → 1400"


@pytest.mark.parametrize("action", ["create", "update", "recreate", "delete"])
def test_in_the_journal_a_repair_has_the_priority_notice_and_a_change_of_a_file_info(action: Action) -> None:
    assert b"\nPRIORITY=5\n" in journal_message(logged(action, drift=True))
    assert b"\nPRIORITY=6\n" in journal_message(logged(action, drift=False))


def test_a_repair_that_no_event_reported_says_so_and_names_the_culprit() -> None:
    message = journal_message(logged("update", drift=True, resyncing=True, culprit="nft (pid 7)"))
    assert "MESSAGE=bridge/br0 repaired, found by the resync: mtu 1300 → 1400\n".encode() in message
    assert b"NETD_FOUND=resync\n" in message and b"NETD_CULPRIT=nft (pid 7)\n" in message
