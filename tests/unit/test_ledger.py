"""What netd remembers, whatever happens to the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from netd.engine.ledger import SLACK, Ledger, Record
from netd.model.key import Key

VETH = Key("a", "veth", "eth0")
BRIDGE = Key("", "bridge", "br0")
MADE = Record(
    "made",
    {"cookie": 7, "index": 3},
    {"peer": ["", "port-a"]},
    fields={"mtu": [1400, None]},
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
