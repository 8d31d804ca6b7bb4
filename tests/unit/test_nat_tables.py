"""What may be written in [[nat.*]], what objects it makes, and which rules they are."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest
import tomli

from netd.kinds.base import nat_rules as translation
from netd.kinds.base.kind import TableContext
from netd.kinds.base.reading import checked, read
from netd.kinds.nat import NatKind, NatTable
from netd.model.desired import Desired, Origin, View
from netd.model.firewall import Firewall
from netd.model.operations import RunNft

KIND = NatKind()


def declared(text: str, netns: str = "") -> list[Desired]:
    """The objects of a file's [nat], in their order."""
    table = checked(NatTable, tomli.loads(text)["nat"])
    found = KIND.declare(table, TableContext(netns, "nat", Origin("lab.toml", ("nat",))))
    return [dataclasses.replace(one, order=number) for number, one in enumerate(found)]


def refused(text: str) -> str:
    """The one complaint about a file's [nat]."""
    problems = read(NatTable, tomli.loads(text)["nat"])
    assert isinstance(problems, list)
    (problem,) = problems
    return problem.text


class Seen:
    """A mirror that knows whether netd's table is there."""

    def __init__(self, exists: bool) -> None:
        self._exists = exists

    def firewall(self, netns: str) -> Firewall:
        return Firewall(self._exists)


def text_of(desired: list[Desired], exists: bool = True) -> str:
    step = KIND.write_all("", desired, cast(View, Seen(exists)))[0]
    assert isinstance(step.operation, RunNft)
    return step.operation.text


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ('masquerade]]\nsource = "10.0.0.0/20"\nout = "eth0"', "masquerade/ip/10.0.0.0/20,eth0"),
        ('masquerade]]\nsource = "FD00::/61"', "masquerade/ip6/fd00::/61,*"),
        ('masquerade]]\nout = "eth0"', "masquerade/inet/*,eth0"),
        ('snat]]\nout = "eth0"\nto = "1.2.3.4"', "snat/ip/*,eth0"),
        ('snat]]\nsource = "fd00::/64"\nto = "fd01:0::1"', "snat/ip6/fd00::/64,*"),
        ('dnat]]\nport = 8083\nto = "10.0.0.2:80"', "dnat/ip/tcp/8083,*,*"),
        ('dnat]]\nport = "8000-8010"\nto = "fd00:0::2"\nprotocol = "udp"', "dnat/ip6/udp/8000-8010,*,*"),
        (
            'dnat]]\nport = "80"\nto = "[fd00::2]:81"\nin = "eth0"\ndestination = "fd00:0::1"',
            "dnat/ip6/tcp/80,fd00::1,eth0",
        ),
    ],
)
def test_an_object_is_named_by_what_it_matches(entry: str, name: str) -> None:
    (one,) = declared(f"[[nat.{entry}", "ns1")
    assert str(one.key) == f"ns1:nat/{name}"
    assert one.origins[0].path[0] == "nat" and one.origins[0].path[2] == 0


def test_links_are_mentioned_and_not_waited_for() -> None:
    found = declared('[[nat.masquerade]]\nout = "eth0"\n[[nat.dnat]]\nport = 1\nto = "10.0.0.2"\nin = "eth1"', "a")
    assert [(str(link), origin.path) for one in found for link, origin in one.references] == [
        ("a:eth1", ("nat", "dnat", 0, "in")),
        ("a:eth0", ("nat", "masquerade", 0, "out")),
    ]
    assert not any(one.requires or one.after for one in found)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("masquerade]]", "at least one"),
        ('snat]]\nto = "1.2.3.4"', "at least one"),
        ('snat]]\nsource = "fd00::/64"\nto = "1.2.3.4"', "not of the same address family"),
        ('snat]]\nout = "e"\nto = "0.0.0.0"', "cannot be the address of a host"),
        ('masquerade]]\nsource = "10.0.0.1/24"', "did you mean '10.0.0.0/24'"),
        ('masquerade]]\nout = "eth0\\"; flush"', "eth0"),
        ('dnat]]\nport = 0\nto = "10.0.0.2"', "is not a port"),
        ('dnat]]\nport = 70000\nto = "10.0.0.2"', "is not a port"),
        ('dnat]]\nport = "80; drop"\nto = "10.0.0.2"', "is not a port"),
        ('dnat]]\nport = "8010-8000"\nto = "10.0.0.2"', "did you mean '8000-8010'"),
        ('dnat]]\nport = "8000-8010"\nto = "10.0.0.2:80"', "is not as long as"),
        ('dnat]]\nport = 80\nto = "10.0.0.2:80-90"', "is not as long as"),
        ('dnat]]\nport = 80\nto = "10.0.0.2:"', "no port after its colon"),
        ('dnat]]\nport = 80\nto = "web:80"', "is not an address"),
        ('dnat]]\nport = 80\nto = "[fd00::2"', "is not an address"),
        ('dnat]]\nport = 80\nto = "127.0.0.1:80"', "loopback"),
        ('dnat]]\nport = 80\nto = "224.0.0.1"', "multicast"),
        ('dnat]]\nport = 80\nto = "10.0.0.2"\ndestination = "127.0.0.1"', "loopback"),
        ('dnat]]\nport = 80\nto = "10.0.0.2"\ndestination = "fd00::1"', "not of the same address family"),
    ],
)
def test_an_error_is_reported_in_words(entry: str, words: str) -> None:
    assert words in refused(f"[[nat.{entry}")


def dnat(**keys: Any) -> str:
    lines = [f"{name} = {value if isinstance(value, int) else repr(value)}" for name, value in keys.items()]
    return "\n".join(["[[nat.dnat]]", *lines, ""])


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ({"port": 80}, {"port": "79-81"}, True),
        ({"port": "8000-8010"}, {"port": 8005}, True),
        ({"port": "8000-8010"}, {"port": "8011-8020"}, False),
        ({"port": 80}, {"port": 80, "protocol": "udp"}, False),
        ({"port": 80, "in": "eth0"}, {"port": "80-81", "in": "eth1"}, False),
        ({"port": "80-81"}, {"port": 80, "in": "eth1"}, True),
        ({"port": 80, "in": "eth1"}, {"port": "80-81"}, False),
        ({"port": 80, "destination": "1.1.1.1"}, {"port": "80-81", "destination": "1.1.1.2"}, False),
        ({"port": 80, "destination": "1.1.1.1"}, {"port": "80-81", "destination": "1.1.1.1"}, True),
    ],
)
def test_overlapping_ports_of_one_destination_are_found_unless_an_exception_goes_first(
    first: dict[str, Any], second: dict[str, Any], overlap: bool
) -> None:
    found = declared(dnat(**first, to="10.0.0.2") + dnat(**second, to="10.0.0.3"))
    mistakes = list(KIND.cross_check(found))
    assert [(later, earlier) for later, earlier, _ in mistakes] == ([(found[1], found[0])] if overlap else [])


def test_namespaces_and_families_do_not_overlap() -> None:
    here, there = declared(dnat(port=80, to="10.0.0.2")), declared(dnat(port=80, to="10.0.0.2"), "a")
    other = declared(dnat(port=80, to="fd00::2"))
    assert list(KIND.cross_check([*here, *there, *other])) == []


def test_a_range_that_moves_is_mapped_one_to_one() -> None:
    text = text_of(declared(dnat(port="9000-9002", to="10.0.0.2:80-82")))
    assert "dnat ip to 10.0.0.2 : tcp dport map { 9000 : 80, 9001 : 81, 9002 : 82 }" in text


def test_with_a_link_given_the_machine_itself_is_left_alone() -> None:
    text = text_of(declared(dnat(port=80, to="10.0.0.2", **{"in": "eth0"})))
    assert 'prerouting iifname "eth0"' in text and " output " not in text


def test_the_whole_table_is_replaced_and_the_last_entry_takes_it_along() -> None:
    replace = ["add table inet netd", "delete table inet netd"]
    assert text_of(declared(dnat(port=80, to="10.0.0.2"))).splitlines()[:2] == replace
    assert text_of([]).splitlines() == replace
    assert KIND.write_all("", [], cast(View, Seen(False))) == []


def test_where_there_is_no_table_nothing_is_deleted() -> None:
    assert "delete" not in text_of(declared(dnat(port=80, to="10.0.0.2")), exists=False)


def test_entries_are_written_in_their_order() -> None:
    found = declared(dnat(port=1, to="10.0.0.2") + dnat(port=2, to="10.0.0.2"))
    text = text_of(found[::-1])
    assert text.index("tcp/1,") < text.index("tcp/2,")


def test_the_digest_tells_other_rules_and_not_another_place() -> None:
    first, second = declared(dnat(port=1, to="10.0.0.2") + dnat(port=2, to="10.0.0.2"))
    (alone,) = declared(dnat(port=2, to="10.0.0.2"))
    assert translation.digest(second.locator) == translation.digest(alone.locator) != translation.digest(first.locator)


def test_the_longest_comment_fits_the_kernel() -> None:
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    keys = {"in": "a" * 15, "destination": address, "port": "10000-60000", "to": f"[{address}]:15000-65000"}
    text = text_of(declared(dnat(**keys)))
    comments = [line.rpartition(' comment "')[2].rstrip('"') for line in text.splitlines() if " comment " in line]
    assert comments and all(len(comment.encode()) < 128 for comment in comments)
