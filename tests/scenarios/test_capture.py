"""``netd capture``: many links in many namespaces in one file, in the order of time."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import pytest

from tests.support.host import ROOT, Host
from tests.support.process import Process

LAB = """
ip netns add a
ip netns add b
ip link add br0 up type bridge
for n in a b; do
    ip link add port-$n up master br0 type veth peer name eth0 netns $n
    ip -n $n link set eth0 up
done
ip -n a address add 10.5.0.1/24 dev eth0
ip -n b address add 10.5.0.2/24 dev eth0
"""
FIELDS = ("frame.interface_name", "frame.time_epoch", "ip.src", "icmp.type")


@pytest.fixture
def lab(host: Host) -> Host:
    host.sh(LAB)
    return host


def capturing(host: Host, *args: str) -> Process:
    """A capture that sees packets from now on."""
    process = host.netd_start("capture", *args)
    host.until(lambda: "capturing on" in process.text(), "the capture has begun")
    return process


def read(host: Host, path: str) -> list[tuple[str, ...]]:
    """What tshark reads of a file."""
    columns = [word for field in FIELDS for word in ("-e", field)]
    lines = host.run("tshark", "-r", path, "-T", "fields", *columns).splitlines()
    return [tuple(line.split("\t")) for line in lines]


def test_two_namespaces_and_the_host_are_one_file_in_the_order_of_time(lab: Host) -> None:
    process = capturing(lab, "a:eth0", "b:*", "br0", "port-a", "-w", "/run/all.pcapng", "-f", "icmp")
    lab.run("ping", "-c", "3", "-i", "0.1", "10.5.0.2", ns="a")
    lab.until(lambda: lab.file("/run/all.pcapng").stat().st_size > 2000, "the packets are in the file")
    process.signal(signal.SIGINT)
    assert process.popen.wait(30) == 0
    found = read(lab, "/run/all.pcapng")
    times = [float(each[1]) for each in found]
    assert times == sorted(times)
    seen = [each[0] for each in found if each[3] == "8"]
    assert {name: seen.count(name) for name in seen} == {"a:eth0": 3, "port-a": 3, "b:eth0": 3}
    first = [each[0] for each in found][:6]
    assert first == ["a:eth0", "port-a", "b:eth0", "b:eth0", "port-a", "a:eth0"]
    about = lab.run("capinfos", "-M", "/run/all.pcapng")
    assert "Number of interfaces in file: 5" in about
    assert "nanoseconds" in about


def test_without_a_file_each_packet_is_a_line_and_a_count_ends_it(lab: Host) -> None:
    process = capturing(lab, "a:eth0", "-c", "2", "-f", "icmp")
    lab.run("ping", "-c", "2", "-i", "0.1", "10.5.0.2", ns="a")
    assert process.popen.wait(30) == 0
    lines = [line for line in process.text().splitlines() if "a:eth0" in line]
    assert len(lines) == 2
    assert "out 10.5.0.1 > 10.5.0.2 ICMP echo request" in lines[0]
    assert "in  10.5.0.2 > 10.5.0.1 ICMP echo reply" in lines[1]
    assert "2 packets captured" in process.text()


def test_a_link_that_is_recreated_is_captured_again_and_its_old_namespace_is_let_go(lab: Host) -> None:
    process = capturing(lab, "b:eth0", "--json", "-f", "icmp")
    lab.sh("ip netns del b")
    lab.until(lambda: "port-b" not in lab.run("ip", "-br", "link"), "the namespace ended although it is captured")
    lab.sh("""
        ip netns add b; ip link add port-b up master br0 type veth peer name eth0 netns b
        ip -n b link set eth0 up; ip -n b address add 10.5.0.2/24 dev eth0
    """)

    def is_seen() -> Any:
        lab.run("ping", "-c", "1", "-W", "1", "10.5.0.2", ns="a", check=None)
        return [line for line in process.text().splitlines() if "echo request" in line]

    found = json.loads(lab.until(is_seen, "packets on the new link")[0])
    assert found["link"] == "b:eth0"
    assert found["direction"] == "in"
    assert found["version"] == 1


def test_a_full_disk_ends_it_and_what_is_there_can_be_read(lab: Host) -> None:
    lab.sh("mkdir -p /run/small; mount -t tmpfs -o size=64k small /run/small")
    process = capturing(lab, "a:eth0", "-w", "/run/small/full.pcapng")
    lab.run("ping", "-q", "-f", "-c", "2000", "10.5.0.2", ns="a", check=None)
    assert process.popen.wait(30) == 1
    assert "No space left on device" in process.text()
    assert "Traceback" not in process.text()
    assert read(lab, "/run/small/full.pcapng")


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["a:eth1"], "did you mean 'a:eth0'?"),
        ([], "'netd capture --list' lists them"),
        (["a:eth0", "-f", "icmp icmp"], "pcap-filter(7) explains the language"),
        (["a:eth0", "--for", "soon"], "write it as 500ms, 10s, 5m or 1h"),
        (["a:eth0", "-w", "/nowhere/x"], "/nowhere/x: No such file or directory"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(lab: Host, args: list[str], what: str) -> None:
    result = lab.netd("capture", *args, check=1)
    assert what in result.text


def test_a_path_is_captured_by_its_ends(lab: Host) -> None:
    process = capturing(lab, "--path", "a", "b", "-w", "/run/path.pcapng", "-c", "4", "-f", "icmp")
    lab.run("ping", "-c", "1", "10.5.0.2", ns="a")
    assert process.popen.wait(30) == 0
    assert {each[0] for each in read(lab, "/run/path.pcapng")} == {"a:eth0", "port-b"} | {"port-a", "b:eth0"}


def test_wireshark_lists_the_links_and_captures_them(lab: Host) -> None:
    program = lab.file("/run/bin/netd")
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m netd "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    lab.sh("mkfifo /run/fifo")
    env = {"PATH": f"/run/bin:{os.environ['PATH']}"}
    extcap = str(ROOT / "package" / "netd-extcap")
    listed = lab.result(sys.executable, extcap, "--extcap-interfaces", check=0, env=env).stdout
    assert "interface {value=netd-a:eth0}{display=netd: a:eth0}" in listed
    arguments = ("--capture", "--extcap-interface", "netd-a:eth0", "--fifo", "/run/fifo")
    lab.start(sys.executable, extcap, *arguments, env=env)
    reader = lab.start("tshark", "-l", "-r", "/run/fifo", "-c", "2")

    def is_read() -> bool:
        lab.run("ping", "-c", "1", "-W", "1", "10.5.0.2", ns="a", check=None)
        return "Echo" in reader.text()

    lab.until(is_read, "Wireshark's reader has a packet")


def test_the_list_has_every_link_of_every_namespace(lab: Host) -> None:
    rows = lab.netd("capture", "--list", "--json").json["links"]
    assert {"link": "a:eth0", "namespace": "a", "name": "eth0", "kind": "veth", "up": True} in rows
    assert {"lo", "br0", "port-a", "port-b", "b:eth0", "b:lo"} <= {each["link"] for each in rows}
