"""The commands that documents print: found in their text, and typed on a machine as a reader would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.rig.machine import Machine
from tests.support.host import ROOT

#: What a command begins with; a word alone is spoken of, not typed.
TYPED = re.compile(
    r"(netd|systemctl|systemd-\w+|journalctl|man|ip|nft|sysctl|make|apt-get|cp|rm|usermod|firewall-cmd|ping|bridge) \S"
)
#: Of a step: fenced text with its language, or an indented block of commands.
STEP = re.compile(r"^```(\w*)\n(.*?)^```$|((?:^    \S[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
#: Where the first line of a file says that it is.
PLACE = re.compile(r"# (/\S+\.toml)\n")
#: What differs from one reader to the next: how long ago something was.
TIME = re.compile(r"\d+ (?:s|min|h|d)\b(?: \d+ \w+)?")


class Step(NamedTuple):
    """One step of a document: ``language`` "toml" (a file), "text" (what was shown), or "" (commands)."""

    language: str
    text: str


def read(document: str) -> str:
    return (ROOT / document).read_text()


def section(text: str, heading: str) -> str:
    """The text below a heading of level 2."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def commands(document: str) -> list[str]:
    """The commands of a document, each once, in their order."""
    text = re.sub(r"^ *```.*?^ *```$", "", read(document), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^    (\S.*)$|`([^`]+)`", text, flags=re.MULTILINE)
    said = (" ".join((block or span).split()) for block, span in found)
    return [one for one in dict.fromkeys(said) if TYPED.match(one)]


def steps(text: str) -> Iterator[Step]:
    """What a reader does and sees, in order."""
    for language, fenced, block in STEP.findall(text):
        yield Step(language, fenced) if fenced else Step("", block)


def follow(machine: Machine, text: str) -> int:
    """Does every step of a text, and compares what is shown; the number of commands."""
    shown, number = "", 0
    found = [step for step in steps(text) if step.language in ("toml", "text", "")]
    for step, after in zip(found, [*found[1:], Step("", "")], strict=True):
        if step.language == "toml":
            place = PLACE.match(step.text)
            assert place, step.text
            machine.write(place[1], step.text)
        elif step.language == "text":
            assert same(shown) == same(step.text), f"shown:\n{shown}\nprinted:\n{step.text}"
        else:
            for command in map(str.strip, step.text.splitlines()):
                number += 1
                # Errors are part of the story where the text shows what is said.
                done = machine.run("bash", "-ec", command, check=None if after.language == "text" else 0)
                shown = done.stderr + done.stdout
    return number


def same(text: str) -> list[list[str]]:
    """Words of each line, without times."""
    return [TIME.sub("TIME", line).split() for line in text.strip().splitlines()]
