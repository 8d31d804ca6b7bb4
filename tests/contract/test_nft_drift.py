"""netd's table reads back as it was written, and every change behind its back shows."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator

import pytest

from netd.errors import Changed, KernelError
from netd.kernel.nft import libnftables as nft
from netd.kinds.nat import NatKind
from netd.model.desired import Desired
from tests.support.nft_lab import Lab, sandbox

ENTRIES = """
[[nat.dnat]]
port = 8083
to = "192.168.1.204:80"

[[nat.dnat]]
port = "9000-9002"
to = "[fd00::2]:80-82"

[[nat.snat]]
source = "10.0.0.0/20"
to = "1.2.3.4"

[[nat.masquerade]]
out = "eth0"
"""
WRITTEN = ["as written"] * 4


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A machine without a network."""
    with sandbox() as found:
        yield found


@pytest.fixture
def desired(lab: Lab) -> list[Desired]:
    """Four entries, in force."""
    return lab.translate(ENTRIES)


def handle(lab: Lab, words: str) -> str:
    """ "CHAIN handle N" of the first rule that has these words."""
    chain = ""
    for line in lab.run("nft -a list table inet netd").splitlines():
        if line.strip().startswith("chain "):
            chain = line.split()[1]
        if words in line:
            return f"{chain} handle {line.split()[-1]}"
    raise AssertionError(words)


def test_what_was_written_reads_back_equal(lab: Lab, desired: list[Desired]) -> None:
    assert lab.found(desired) == WRITTEN
    assert nft.read() == nft.read()


def test_writing_again_changes_nothing_that_is_compared(lab: Lab, desired: list[Desired]) -> None:
    before = nft.read()
    lab.translate(ENTRIES)
    assert nft.read() == before


def test_traffic_changes_nothing_that_is_compared(lab: Lab) -> None:
    lab.build()
    lab.serve("web", 80)
    desired = lab.translate('[[nat.dnat]]\nport = 8083\nto = "192.168.17.204:80"')
    before = nft.read()
    assert lab.answer("far", "10.230.4.204", 8083)
    assert nft.read() == before and lab.found(desired) == ["as written"]


def test_a_deleted_table_is_missed(lab: Lab, desired: list[Desired]) -> None:
    lab.run("nft flush ruleset")
    assert lab.found(desired) == [""] * 4 and not nft.read().exists


def test_a_deleted_rule_is_missed_by_its_object_alone(lab: Lab, desired: list[Desired]) -> None:
    lab.run(f"nft delete rule inet netd {handle(lab, 'iif 0')}")
    assert lab.found(desired) == ["1 of 4 rules are missing", *WRITTEN[1:]]


def test_an_object_without_rules_is_not_there(lab: Lab, desired: list[Desired]) -> None:
    lab.run(f"nft delete rule inet netd {handle(lab, 'oifname')}")
    assert lab.found(desired) == [*WRITTEN[1:], ""]


@pytest.mark.parametrize("verb", ["insert", "add"])
@pytest.mark.parametrize("chain", ["prerouting", "output", "postrouting"])
def test_a_foreign_rule_shows(lab: Lab, desired: list[Desired], verb: str, chain: str) -> None:
    lab.run(f"nft {verb} rule inet netd {chain} accept")
    assert lab.found(desired) == [f"a foreign rule in chain {chain}"] * 4


def test_a_replaced_rule_shows_even_with_our_comment(lab: Lab, desired: list[Desired]) -> None:
    line = next(one for one in lab.run("nft list table inet netd").splitlines() if "oifname" in one)
    lab.run(f"nft 'replace rule inet netd {handle(lab, 'oifname')} {line.replace('eth0', 'eth1', 1).strip()}'")
    assert lab.found(desired) == ["a rule was replaced"] * 4


def test_a_listing_that_was_edited_and_loaded_again_shows(lab: Lab, desired: list[Desired]) -> None:
    lab.run("nft list ruleset | sed s/204:80/204:81/ > /run/saved; nft flush ruleset; nft -f /run/saved")
    assert "as written" not in lab.found(desired)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("nft add chain inet netd extra", "a foreign chain extra"),
        ("nft add table inet netd '{ flags dormant; }'", "the table is dormant"),
        ("nft add chain inet netd output '{ policy drop; }'", "chain output drops"),
    ],
)
def test_a_changed_table_or_chain_shows(lab: Lab, desired: list[Desired], command: str, words: str) -> None:
    lab.run(command)
    assert lab.found(desired) == [words] * 4


def test_every_drift_is_repaired_by_one_transaction(lab: Lab, desired: list[Desired]) -> None:
    for command in (
        "flush ruleset",
        "flush table inet netd",
        "flush chain inet netd seal",
        "insert rule inet netd output drop",
    ):
        lab.run(f"nft {command}")
        assert lab.found(desired) != WRITTEN
        lab.translate(ENTRIES)
        assert lab.found(desired) == WRITTEN


def test_another_order_shows(lab: Lab, desired: list[Desired]) -> None:
    first, second, *rest = ENTRIES.strip().split("\n\n")
    swapped = lab.declared("\n\n".join([second, first, *rest]))
    assert lab.found(swapped) == ["as written", f"comes before {desired[1].key.name}", "as written", "as written"]


def test_other_content_of_the_same_object_shows(lab: Lab, desired: list[Desired]) -> None:
    other = lab.declared(ENTRIES.replace("204:80", "204:81"))
    found = lab.found(other)
    assert found[0].startswith("other rules") and found[1:] == WRITTEN[1:]


def test_the_last_entry_takes_the_table_along_and_no_other(lab: Lab, desired: list[Desired]) -> None:
    lab.run("nft add table inet other")
    lab.execute(NatKind().write_all("", [], lab.view))
    assert lab.run("nft list tables").split() == ["table", "inet", "other"]
    lab.execute(NatKind().write_all("", [], lab.view))


def test_a_bad_rule_leaves_everything_as_it_was(lab: Lab, desired: list[Desired]) -> None:
    with pytest.raises(KernelError, match=r"nft: .*syntax error"):
        nft.run("delete table inet netd\nadd nonsense\n")
    with pytest.raises(Changed) as caught:
        nft.run("delete table inet netd\nadd rule inet lost c accept\n")
    assert caught.value.code == errno.ENOENT
    assert lab.found(desired) == WRITTEN


def test_what_nft_suggests_does_not_hide_why_it_failed() -> None:
    """nft 1.1 of Debian 13; 1.0 of Debian 12 has no suggestions."""
    for words in ("Could not process rule: No such file or directory", "No such file or directory"):
        for more in ("", "; did you mean table 'netd' in family inet?"):
            error = nft._error(f"internal:0:0-0: Error: {words}{more}\nadd rule inet lost c accept\n")
            assert isinstance(error, Changed) and error.code == errno.ENOENT


def test_reading_an_empty_machine_makes_nothing(lab: Lab) -> None:
    before = lab.run("nft monitor & sleep 0; kill $!; nft list ruleset; cat /proc/net/ip_tables_names")
    firewall = nft.read()
    assert not firewall.exists and firewall.base_chains == ()
    assert lab.run("nft list ruleset; cat /proc/net/ip_tables_names") == before


def test_nothing_keeps_a_namespace_alive_that_was_read_and_written(lab: Lab) -> None:
    lab.run("ip netns add gone; ip link add end0 type veth peer name end1 netns gone")
    with lab.inside("gone"):
        nft.run("add table inet netd\nadd chain inet netd c\n")
        nft.run("delete table inet netd\n")
        nft.read()
    lab.run("ip netns del gone; for i in $(seq 200); do ip link show end0 >&2 || exit 0; sleep 0.05; done; exit 1")
    assert not [one for one in threading.enumerate() if one.name == "netd-nft-close"]


def test_a_thousand_entries_read_back(lab: Lab) -> None:
    text = "\n".join(f'[[nat.dnat]]\nport = {port}\nto = "10.0.0.2:80"' for port in range(1, 1001))
    assert set(lab.found(lab.translate(text))[::100]) == {"as written"}
