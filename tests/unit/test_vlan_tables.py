"""``vlans`` in the files: what is refused, with its line, and what is warned of."""

from __future__ import annotations

import pytest

from netd.config.parse.parser import parse
from netd.kinds.vlans import flags_of, ids, ids_of, ranges_of, text_of, vlan_range
from netd.model.state import VLAN_PVID, VLAN_UNTAGGED

BRIDGE = "[bridge.br0]\nvlan_filtering = true\n"
PORT = '[veth.v0]\nmaster = "br0"\nvlans = {}\npeer = {{ name = "v1" }}\n'

WRONG = {
    "{ pvid = 0 }": "pvid: must be at least 1, not 0",
    "{ pvid = 4095 }": "pvid: must be at most 4094, not 4095",
    "{ tagged = [4095] }": "must be at most 4094",
    '{ tagged = ["9-5"] }': "'9-5' ends before it begins: did you mean \"5-9\"?",
    '{ tagged = ["x"] }': "'x' is not a VLAN (1 to 4094)",
    '{ tagged = ["1-4095"] }': "'1-4095' is not a VLAN (1 to 4094)",
    '{ tagged = [10], untagged = ["8-12"] }': "tagged: 10 is in untagged, too",
    "{ vid = 10 }": "unknown key 'vid'",
    "{ tagged = 10 }": "must be an array",
}


@pytest.mark.parametrize("vlans", WRONG)
def test_a_wrong_table_is_refused_with_its_line(vlans: str) -> None:
    (problem,) = parse("lab.toml", (BRIDGE + PORT.format(vlans)).encode()).problems
    assert WRONG[vlans] in problem.message
    assert problem.line == 5


def test_a_link_without_a_bridge_has_no_vlans() -> None:
    (problem,) = parse("lab.toml", b'[veth.v0]\nvlans = { pvid = 10 }\npeer = { name = "v1" }\n').problems
    assert "vlans: this link has no master" in problem.message


def test_ranges_are_of_one_form() -> None:
    assert vlan_range(7) == (7, 7) and vlan_range("7-9") == (7, 9)
    assert text_of(ids([(7, 9), (10, 10), (3, 3)])) == "3, 7-10"
    assert ids_of("3, 7-10") == {3, 7, 8, 9, 10} and ids_of("") == set()
    assert list(ranges_of(range(1, 4095))) == [(1, 4094)]


def test_a_pvid_leaves_without_a_tag_unless_it_is_tagged() -> None:
    assert flags_of({"pvid": 10, "untagged": "10", "tagged": ""}) == {10: VLAN_PVID | VLAN_UNTAGGED}
    assert flags_of({"pvid": 10, "untagged": "", "tagged": "10-11"}) == {10: VLAN_PVID, 11: 0}
