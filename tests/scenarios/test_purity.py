"""What must write nothing writes nothing: every system call of ``diff`` and of a second ``apply`` is looked at."""

from __future__ import annotations

import re
import struct
import subprocess
from functools import partial

import pytest

from tests.support.host import Host
from tests.support.process import Process

#: One object of every kind, IPv4 and IPv6.
EVERYTHING = """
[bridge.br0]
forward_delay = 4
mtu = 1400
addresses = ["10.1.0.254/24", "fd01::254/64"]
nodad = true
forward = true

[namespace.a.veth.eth0]
mtu = 1400
addresses = ["10.1.0.1/24", "fd01::1/64"]
gateway = ["10.1.0.254", "fd01::254"]
nodad = true
peer = { name = "port-a", master = "br0", bridge_port = { isolated = true, cost = 50 } }

[veth.under]
addresses = ["10.9.0.1/24"]
peer = { name = "under-peer", up = false }

[vxlan.vx0]
vni = 24
dev = "under"
local = "10.9.0.1"
remote = ["10.9.0.2", "10.9.0.3"]
ttl = 8
fdb = [{ mac = "02:00:00:00:00:21", dst = "10.9.0.2" }]

[interface.lo]
addresses = ["10.255.0.1/32"]

[interface.nowhere]
mtu = 1400

[namespace.quiet]
ipv6 = false

[[route]]
to = "10.2.0.0/24"
via = "10.1.0.1"

[[namespace.a.route]]
to = "fd02::/64"
type = "unreachable"

[[rule]]
priority = 1000
from = "10.1.0.0/24"
table = 100

[[neighbor]]
address = "10.1.0.7"
mac = "02:00:00:00:00:30"
dev = "br0"

[sysctl]
net.ipv4.ip_forward = 1
net.ipv4.conf.br0.rp_filter = 2

[namespace.a.sysctl]
net.ipv6.conf.eth0.accept_ra = 0

[[nat.masquerade]]
source = "10.1.0.0/24"
out = "under"

[[nat.dnat]]
port = 8083
to = "[fd01::1]:80"

[[namespace.a.nat.snat]]
source = "10.1.0.1/32"
to = "10.1.0.77"
"""

#: The calls that can leave something behind.
WATCHED = (
    "trace=open,openat,openat2,creat,write,pwrite64,writev,sendto,sendmsg,sendmmsg,mkdir,mkdirat,unlink,unlinkat,rmdir,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,mount,umount2,move_mount,fsconfig,unshare,mknod,mknodat,"
    "bind,chmod,fchmod,fchmodat,chown,fchown,fchownat,truncate,ftruncate,utimensat,setxattr,execve"
)
CHANGES = re.compile(
    r"^(?:\d+ +)?(mkdir|mkdirat|unlink|unlinkat|rmdir|rename|renameat2?|link|linkat|symlink|symlinkat|mount|umount2|"
    r"move_mount|fsconfig|mknod|mknodat|f?chmod|fchmodat|f?chown|fchownat|f?truncate|utimensat|setxattr)\(|"
    r"\bunshare\(.*CLONE_NEW(NET|NS)"
)
WRITE_FLAGS = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
MESSAGE = re.compile(r"nlmsg_type=([^,]+?)(?: /\*.*?\*/)?,")
#: What strace could not take apart: the bytes of a buffer.
BYTES = re.compile(r'(?:iov_base=|sendto\(\d+<[^>]*>, )"((?:\\x[0-9a-f]{2})+)"')
#: NFT_MSG_GET* of nf_tables.h, behind NFNL_SUBSYS_NFTABLES << 8.
NFT_GET = {0xA00 + number for number in (1, 4, 7, 10, 13, 16, 19, 23)}


def strace(host: Host, *args: str, check: int) -> list[str]:
    """Every watched call that a netd command and its children made."""
    before = ["strace", "-f", "-q", "-y", "-x", "-s", "65536", "-e", WATCHED, "-o", "/run/strace"]
    done = host.netd_as(before, *args, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == check, done.text
    return host.file("/run/strace").read_text().splitlines()


def messages(calls: list[str]) -> list[str]:
    """The types of all netlink messages that were sent: names, or numbers where strace does not know the socket."""
    found = []
    for call in calls:
        if re.search(r"\bsend(to|msg|mmsg)\(", call):
            found += MESSAGE.findall(call)
            found += numbers(bytes.fromhex("".join(BYTES.findall(call)).replace("\\x", "")))
    return found


def numbers(data: bytes) -> list[str]:
    """The types of the netlink messages in a buffer; none where it holds something else."""
    found, at = [], 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if length < 16 or at + length > len(data):
            return []
        found.append(hex(kind))
        at += (length + 3) & ~3
    return found


def is_read(kind: str) -> bool:
    """Whether a netlink message only asks (rtnetlink: the number's last two bits are 2)."""
    if not kind.startswith("0x"):
        return "_GET" in kind
    number = int(kind, 16)
    return number in NFT_GET if number >= 0x100 else number >= 16 and number % 4 == 2


def writes(calls: list[str]) -> list[str]:
    """The netlink messages that are no reads."""
    return [kind for kind in messages(calls) if not is_read(kind)]


def touched(calls: list[str]) -> list[str]:
    """Calls that change a file system, or open something in it to write.

    The null device, terminals, and the name that the process gives itself are left out.
    """
    found = []
    for call in calls:
        if '"/proc/self/comm"' in call:
            continue
        failed = re.search(r"= -1 E(NOENT|EXIST|ACCES|ROFS)", call)
        opened = re.search(r"\b(open|openat|openat2|creat)\(", call) and WRITE_FLAGS.search(call)
        if (opened and '"/dev/' not in call and not failed) or CHANGES.search(call):
            found.append(call)
    return found


def parsed(calls: list[str]) -> None:
    """The trace is understood: otherwise the tests here would prove nothing."""
    assert {"RTM_GETLINK", "0x12"} & set(messages(calls)), "strace shows no read of links"


def test_the_trace_shows_writes_where_there_are_some(host: Host) -> None:
    host.write("lab.toml", EVERYTHING)
    calls = strace(host, "apply", check=0)
    parsed(calls)
    assert {"RTM_NEWLINK", "0x10"} & set(writes(calls))
    assert {"NFNL_MSG_BATCH_BEGIN", "0x10"} & set(writes(calls))
    assert [call for call in touched(calls) if "ip_forward" in call]


@pytest.mark.parametrize("state", ["absent", "built", "broken"])
def test_diff_writes_nothing_anywhere(host: Host, state: str) -> None:
    host.sh("iptables-nft -P FORWARD DROP")
    host.write("lab.toml", EVERYTHING)
    if state != "absent":
        host.apply()
    if state == "broken":
        host.sh("ip netns del a; nft flush ruleset; ip addr flush dev br0; sysctl -qw net.ipv4.ip_forward=0")
    calls = strace(host, "diff", check=0 if state == "built" else 2)
    if state != "absent":
        parsed(calls)
    assert writes(calls) == []
    assert touched(calls) == []


def everything(host: Host) -> str:
    """What a network or a folder could show of a write."""
    # Where there is an udev, it hears of each device of the whole machine, at any time.
    files = "find /run /var/lib /etc/netd -path /run/udev -prune -o -print"
    return host.sh(f"ip -d link; ip addr; ip route show table all; nft list ruleset; {files}")


def test_diff_of_a_network_that_does_not_exist_leaves_no_directory_behind(host: Host) -> None:
    host.write("lab.toml", EVERYTHING)
    before = everything(host)
    host.netd("diff", check=2)
    assert everything(host) == before


def test_diff_beside_the_daemon_disturbs_nothing(host: Host) -> None:
    host.write("lab.toml", EVERYTHING)
    host.daemon()
    assert host.netd("diff", "--json").json["changes"] == []
    assert host.status()["state"] == "converged"


#: What the monitors of iproute2 print of the kernel's own doing, and of the marks that the test sets.
NOISE = re.compile(
    r"REACHABLE|STALE|DELAY|PROBE|FAILED|INCOMPLETE|NOARP|new generation|lo:|link/loopback|"
    r"198.18.0.[12]|table ip seen|^\s*$"
)


#: A mark that ip monitor shows.
ROUTE = "ip route add blackhole 198.18.0.1; ip route del blackhole 198.18.0.1"


def watch(host: Host, *command: str, mark: str, ns: str = "") -> Process:
    """A monitor that has begun: it shows the mark that was set for it."""
    monitor = host.start(*command, ns=ns)

    def begun() -> bool:
        host.sh(mark, ns=ns)
        return "198.18.0.1" in monitor.text() or "table ip seen" in monitor.text()

    host.until(begun, f"{command} has begun")
    return monitor


def shows(monitor: Process, mark: str) -> bool:
    """Whether a monitor has printed a mark."""
    return mark in monitor.text()


def settled(host: Host) -> bool:
    """Whether every address is past duplicate detection and every port of a bridge forwards."""
    ports = host.json("bridge", "-j", "link")
    found = host.run("ip", "addr") + host.run("ip", "addr", ns="a")
    return "tentative" not in found and all(each["state"] == "forwarding" for each in ports)


def test_a_second_apply_writes_nothing_to_the_kernel(host: Host) -> None:
    host.sh("iptables-nft -P FORWARD DROP")
    host.write("lab.toml", EVERYTHING)
    host.apply()
    monitors = [
        watch(host, "ip", "monitor", "all", mark=ROUTE),
        watch(host, "ip", "monitor", "all", mark=ROUTE, ns="a"),
        watch(host, "nft", "monitor", mark="nft add table ip seen; nft delete table ip seen"),
    ]
    host.until(lambda: settled(host), "the kernel itself has nothing more to say")
    for monitor, ns in zip(monitors, ("", "a"), strict=False):
        host.sh(ROUTE.replace("198.18.0.1", "198.18.0.2"), ns=ns)
        host.until(partial(shows, monitor, "198.18.0.2"), "the monitor has printed what came before")
    rules = host.run("nft", "-a", "-s", "list", "ruleset")
    begun = [len(monitor.text()) for monitor in monitors]
    calls = strace(host, "apply", check=0)
    parsed(calls)
    assert writes(calls) == []
    assert [call for call in touched(calls) if "/proc/sys" in call or "/run/netns" in call] == []
    said = [monitor.text()[length:] for monitor, length in zip(monitors, begun, strict=True)]
    assert [line for text in said for line in text.splitlines() if not NOISE.search(line)] == []
    assert host.run("nft", "-a", "-s", "list", "ruleset") == rules, "not even the handles have changed"


def test_the_daemon_writes_nothing_for_a_change_that_is_not_its_own(host: Host) -> None:
    host.write("lab.toml", EVERYTHING)
    daemon = host.daemon()
    trace = host.logs / "trace"
    argv = ["strace", "-f", "-q", "-y", "-x", "-s", "65536", "-e", WATCHED, "-o", str(trace), "-p", str(daemon.pid)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as tracer:
        try:
            host.run("ip", "addr", "add", "10.77.0.1/24", "dev", "br0")
            host.run("ip", "link", "add", "foreign", "type", "bridge")
            host.until(lambda: messages(trace.read_text().splitlines()), "the daemon has looked")
            host.converged()
        finally:
            tracer.terminate()
    calls = trace.read_text().splitlines()
    assert writes(calls) == []
    assert [call for call in touched(calls) if "/proc/sys" in call or "/run/netns" in call] == []
    assert "10.77.0.1/24" in host.addresses("br0") and host.link("foreign")
