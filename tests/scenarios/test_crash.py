"""A crash between what netd wrote down and what it did."""

from __future__ import annotations

import json

from tests.support.host import Host


def intend(host: Host, *objects: str) -> None:
    """What the ledger says when netd was killed just before it made these."""
    records = [{"key": key, "record": {"state": "intent", "files": ["/etc/netd/lab.toml"]}} for key in objects]
    host.sh("mkdir -p /run/netd")
    (host.root / "run/netd/ledger.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_users_namespace_of_a_name_that_was_about_to_be_made_survives(host: Host) -> None:
    host.write("lab.toml", "[namespace.a]\n")
    intend(host, "namespace/a")
    host.run("ip", "netns", "add", "a")
    host.netd("apply")
    host.remove("lab.toml")
    host.netd("apply")
    assert [each["name"] for each in host.json("ip", "-j", "netns")] == ["a"]
    host.netd("down")
    assert [each["name"] for each in host.json("ip", "-j", "netns")] == ["a"]


def test_a_users_bridge_of_a_name_that_was_about_to_be_made_survives(host: Host) -> None:
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.1.0.1/24"]\n')
    intend(host, "bridge/br0", "address/br0/10.1.0.1/24")
    host.run("ip", "link", "add", "br0", "type", "bridge")
    host.netd("apply")
    host.netd("down")
    assert host.link("br0")
    assert not [each for each in host.json("ip", "-j", "-4", "addr", "show", "br0") for _ in each["addr_info"]]


def test_what_was_made_but_not_written_down_is_netds_own_by_its_mark(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\n")
    host.netd("apply")
    intend(host, "bridge/br0")
    host.remove("lab.toml")
    host.netd("apply")
    assert not [each for each in host.json("ip", "-j", "link") if each["ifname"] == "br0"]
