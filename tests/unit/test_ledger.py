"""What netd remembers, whatever happens to the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from netd.engine.ledger import SLACK, Ledger
from netd.engine.record import FieldRecord, Record
from netd.model.key import Key

VETH = Key("a", "veth", "eth0")
BRIDGE = Key("", "bridge", "br0")
MADE = Record(
    "made",
    {"cookie": 7, "index": 3},
    {"peer": ["", "port-a"]},
    fields={"mtu": FieldRecord(1400)},
    memory={"mac": "02:00:00:00:00:01"},
)


def written(path: Path, records: dict[Key, Record]) -> Ledger:
    ledger = Ledger(str(path))
    for key, record in records.items():
        ledger.put(key, record)
    ledger.flush()
    return ledger


def test_what_is_put_is_there_for_the_next_process(tmp_path: Path) -> None:
    written(tmp_path / "ledger", {VETH: MADE, BRIDGE: Record("adopted", files=("/etc/netd/a.toml",))})
    again = Ledger(str(tmp_path / "ledger"))
    assert again.get(VETH) == MADE
    assert again.get(BRIDGE) == Record("adopted", files=("/etc/netd/a.toml",))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[1400,null]", FieldRecord(1400)),
        ("[1400,1500]", FieldRecord(1400, 1500)),
        ("[1400,1500,1300]", FieldRecord(1400, 1500, (1300,))),
        ('[[["10.0.0.1","eth0",1]],[]]', FieldRecord((("10.0.0.1", "eth0", 1),), ())),
        ('[true,{"up":true}]', FieldRecord(True, {"up": True})),
    ],
)
def test_a_field_is_a_list_in_the_file_as_it_was_in_netd_0_1(tmp_path: Path, text: str, field: FieldRecord) -> None:
    path = tmp_path / "ledger"
    path.write_text('{"key":"bridge/br0","record":{"state":"made","fields":{"mtu":' + text + "}}}\n")
    assert Ledger(str(path)).get(BRIDGE) == Record("made", fields={"mtu": field})
    written(tmp_path / "fresh", {BRIDGE: Record("made", fields={"mtu": field})})
    assert (tmp_path / "fresh").read_text() == path.read_text()


def test_until_the_kernel_takes_a_value_the_one_before_is_still_netds() -> None:
    first = FieldRecord(1400, 1500)
    second = first.rewritten(1300, 1400)
    assert second == FieldRecord(1300, 1500, (1400,))
    assert second.is_written(1300) and second.is_written(1400) and not second.is_written(1500)
    assert second.settled(1300) == FieldRecord(1300, 1500)
    assert second.settled(1400) == first
    assert second.settled(1200) == FieldRecord(1300, 1500)


def test_what_someone_else_wrote_meanwhile_is_not_netds() -> None:
    assert FieldRecord(1400, 1500).rewritten(1300, 1234) == FieldRecord(1300, 1500)


def test_what_is_forgotten_stays_forgotten(tmp_path: Path) -> None:
    ledger = written(tmp_path / "ledger", {VETH: MADE, BRIDGE: MADE})
    ledger.forget(VETH)
    ledger.flush()
    assert list(Ledger(str(tmp_path / "ledger"))) == [BRIDGE]


def test_a_line_cut_short_loses_that_line_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    written(path, {VETH: MADE, BRIDGE: MADE})
    path.write_bytes(path.read_bytes()[:-9])
    ledger = Ledger(str(path))
    assert list(ledger) == [VETH]
    ledger.put(BRIDGE, MADE)
    ledger.flush()
    assert set(Ledger(str(path))) == {VETH, BRIDGE}


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b'{"key":"nonsense","record":{"state":"made"}}',
        b'{"key":"bridge/br0","record":{"state":"mine"}}',
        b'{"key":"bridge/br0","record":{"state":"made","identity":[]}}',
        b'{"key":"bridge/br0","record":{"state":"made","fields":{"mtu":5}}}',
        b'{"key":"bridge/br0","record":{"state":"made","files":[5]}}',
        b'{"key":' * 10000,
        b'{"key":5,"record":{}}',
        b'{"key":null}',
        b'{"key":"bridge/br0","record":{"state":"made","data":5}}',
        b'{"key":"veth/veth9","record":{"state":"made"}}',
        b'{"key":"route/main/xx/yy","record":{"state":"made","data":{}}}',
        b'{"key":"route/main/xx/yy","record":{"state":"made","data":{"hops":[],"type":"unicast","src":"","mtu":0}}}',
        b'{"key":"route/main/10.0.0.0/8/0","record":{"state":"made","data":{"hops":[5]}}}',
        b'{"key":"rule/ipx/5","record":{"state":"made","data":{}}}',
        b'{"key":"fdb/vx","record":{"state":"made","data":{}}}',
        b'{"key":"nat/masquerade","record":{"state":"made","data":{"type":"dnat"}}}',
        b'{"key":"open/ip/udp/4789,*,*","record":{"state":"made","data":{"match":{"colour":"red"}}}}',
        b'{"key":"namespace/a","record":{"state":"made"}}',
        b'{"key":"interface/eth0","record":{"state":"adopted"}}',
    ],
)
def test_a_corrupt_line_is_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "ledger"
    written(path, {VETH: MADE})
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert list(Ledger(str(path))) == [VETH]


def test_a_file_full_of_history_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = written(path, {BRIDGE: MADE})
    for number in range(SLACK + 10):
        ledger.put(VETH, Record("made", {"index": number}, MADE.locator))
        ledger.flush()
    assert len(path.read_text().splitlines()) < SLACK
    assert set(Ledger(str(path))) == {VETH, BRIDGE}


def test_a_ledger_that_only_reads_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none" / "ledger"
    ledger = Ledger(str(path), write=False)
    ledger.put(VETH, MADE)
    ledger.flush()
    assert not path.parent.exists()
