"""Whatever lies in the folder: refused by name, quickly, and nothing else happens."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from tests.scenarios.watch import A, B, indexes
from tests.support.host import Host

#: {what: (a shell script that makes ./x.toml, what netd says of it)}.
BAD = {
    "a FIFO": ("mkfifo x.toml", "is a FIFO"),
    "a folder": ("mkdir x.toml", "is a directory"),
    "a device": ("mknod x.toml c 1 5", "is a device"),
    "100 MB": ("truncate -s 100M x.toml", "too large"),
    "nothing behind a link": ("ln -s nowhere x.toml", "dangling symbolic link"),
    "a circle of links": ("ln -s x.toml x.toml", "symbolic links"),
    "a link out of the folder": ("echo > /etc/else; ln -s /etc/else x.toml", "leaves the directory"),
    "no UTF-8": (r"printf 'mtu = \377' > x.toml", "not UTF-8"),
    "a NUL": (r"printf '[bridge.br9]\000' > x.toml", "x.toml:1:13"),
    "deep arrays": ("{ printf 'a = '; head -c 100000 /dev/zero | tr '\\0' '['; } > x.toml", "nested too deeply"),
    "deep tables": ("{ head -c 100000 /dev/zero | tr '\\0' a | sed 's/a/a./g'; echo 'a = 1'; } > x.toml", "too deeply"),
    "a huge number": ("{ echo 'a = 9'; head -c 100000 /dev/zero | tr '\\0' 9; } | tr -d '\\n' > x.toml", "not TOML"),
    "wrong keys without end": ("seq -f 'k%.0f = 1' 1 200000 > x.toml", "has more errors than these 1000"),
    "a namespace that climbs": ("echo '[namespace.\"../../etc/cron.d/x\"]' > x.toml", "it contains '/'"),
    "a link that climbs": ("echo '[bridge.\"../br9\"]' > x.toml", "it contains '/'"),
    "a namespace of dots": ("echo '[namespace.\"..\"]' > x.toml", "cannot be the name"),
    "a name too long": ("echo '[bridge.br0123456789abcd]' > x.toml", "too long"),
    "a namespace too long": (
        "{ printf '[namespace.'; head -c 256 /dev/zero | tr '\\0' n; echo ']'; } > x.toml",
        "too long",
    ),
    "a sysctl that climbs": ('echo \'[sysctl]\n"net/../kernel/hostname" = "x"\' > x.toml', "not a network parameter"),
    "a sysctl of the kernel": ("echo '[sysctl]\nkernel.hostname = \"x\"' > x.toml", "not a network parameter"),
    "nft text in a link": (
        'echo \'[[nat.masquerade]]\nout = "x\\\\" accept; flush ruleset #"\' > x.toml',
        "cannot be the name of a link",
    ),
    "nft text in an address": (
        "echo '[[nat.masquerade]]\nsource = \"10.0.0.0/8; flush ruleset\"' > x.toml",
        "nat.masquerade",
    ),
    "nft text in a port": ('echo \'[[nat.dnat]]\nport = "80 accept"\nto = "10.0.0.1"\' > x.toml', "not a port"),
    "others may write it": ("echo '[bridge.br9]' > .x; chmod 666 .x; mv .x x.toml", "is refused"),
    "another owner": ("echo '[bridge.br9]' > .x; chown 1000 .x; mv .x x.toml", "is refused"),
}


def complaint(host: Host) -> str:
    """What the daemon says of x.toml."""
    files = {each["path"]: each for each in host.status()["files"]}
    found = files.get("/etc/netd/x.toml", {"state": "", "errors": []})
    return "\n".join(found["errors"]) if found["state"] == "invalid" else ""


def complains(host: Host, words: str) -> bool:
    """Whether the daemon says this of x.toml."""
    return words in complaint(host)


@pytest.mark.thorough
def test_no_file_stops_the_daemon_or_what_the_others_declare(host: Host) -> None:
    host.write("a.toml", A)
    host.write("zz.toml", B)
    daemon = host.daemon()
    before = indexes(host, "to-a", "to-b")
    for what, (make, words) in BAD.items():
        host.sh(f"cd /etc/netd\n{make}")
        host.until(partial(complains, host, words), f"{what}: {words}")
        assert len("\n".join(host.status()["files"][1]["errors"])) < 1 << 20
        host.sh("rm -rf /etc/netd/x.toml")
    host.netd("reload")
    host.run("ip", "link", "del", "to-a")
    host.ping("10.1.0.1", "10.2.0.1")
    assert indexes(host, "to-b") == before[1:]
    assert "Traceback" not in daemon.text() and "a round failed" not in daemon.text()
    assert peak(daemon.pid) < 600_000, "reading them took memory without end"
    assert host.names() == {"to-a", "to-b"} and host.namespaces() == {"a", "b"}


def peak(pid: int) -> int:
    """The most memory that a process had, in kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


@pytest.mark.parametrize("harm", ["chmod 777 /etc/netd", "chown 1000 /etc/netd"])
def test_a_directory_that_others_may_write_changes_nothing(host: Host, harm: str) -> None:
    host.write("a.toml", A)
    host.daemon()
    before = indexes(host, "to-a")
    host.sh(harm)
    host.sh("echo '[bridge.br9]' > /etc/netd/x.toml; rm /etc/netd/a.toml; echo > /etc/netd/a.toml")
    assert "is refused: its directory" in host.netd("reload", check=1).text
    assert indexes(host, "to-a") == before and host.link("br9") is None


def test_names_that_a_shell_or_an_option_parser_would_misread_are_only_names(host: Host) -> None:
    host.write(
        "a.toml", '[bridge."$(id)"]\n\n[bridge."-h"]\n\n[bridge."a;b"]\n\n[namespace."-n"]\n\n[namespace."$x"]\n'
    )
    host.apply()
    assert host.names() == {"$(id)", "-h", "a;b"}
    assert set(os.listdir(host.root / "run/netns")) == {"-n", "$x"}
    host.netd("down")
    assert host.names() == set() and not os.listdir(host.root / "run/netns")


def test_a_value_that_the_kernel_takes_in_part_is_diverged_and_not_ok(host: Host) -> None:
    host.write("a.toml", '[sysctl]\nnet.ipv4.ip_forward = "1 foo"\n')
    assert "diverged  sysctl/net.ipv4.ip_forward: value reads back as '1'" in host.netd("apply", check=1).text
    host.daemon()
    assert host.state("sysctl/net.ipv4.ip_forward") == "diverged"
    host.write("a.toml", "[sysctl]\nnet.ipv4.ip_forward = 1\n")
    host.converged()


@pytest.mark.thorough
def test_the_port_that_is_one_too_many_fails_alone_with_the_kernels_words(host: Host) -> None:
    """1,023 ports fit a bridge (BR_MAX_PORTS, net/bridge/br_private.h)."""
    others = 1022
    host.sh("ip link add br0 type bridge")
    batch = "".join(f"link add q{n} master br0 type veth peer name r{n}\n" for n in range(others))
    host.run("ip", "-batch", "-", stdin=batch)
    host.write(
        "a.toml",
        '[bridge.br0]\n\n[veth.first]\npeer = { name = "p1", master = "br0" }\n'
        '\n[veth.last]\npeer = { name = "p2", master = "br0" }\naddresses = ["10.9.0.1/24"]\n\n[namespace.n]\n',
    )
    host.daemon()
    states = {name: host.state(name) for name in ("veth/first", "veth/last", "namespace/n", "bridge/br0")}
    assert sorted(states.values()) == ["failed", "ok", "ok", "ok"], states
    failed = next(each for each in host.status()["objects"] if each["state"] == "failed")
    assert failed["object"] == "veth/last" and "the kernel refused: Exchange full" in failed["reason"]
    host.run("ip", "link", "del", "q0")
    host.converged()


def test_a_parameter_of_a_module_that_is_not_loaded_fails_alone_and_names_the_module(host: Host) -> None:
    host.write("a.toml", "[bridge.br0]\n[sysctl]\nnet.mpls.platform_labels = 100\nnet.ipv4.no_such_thing = 1\n")
    host.daemon()
    reasons = {each["object"]: each["reason"] for each in host.status()["objects"] if each["state"] == "failed"}
    assert list(reasons) == ["sysctl/net.mpls.platform_labels", "sysctl/net.ipv4.no_such_thing"]
    assert "is the module mpls_router loaded?" in reasons["sysctl/net.mpls.platform_labels"]
    assert "No such file" in reasons["sysctl/net.ipv4.no_such_thing"]
    assert host.state("bridge/br0") == "ok"


def test_what_does_not_read_back_stays_diverged_when_it_is_tried_again(host: Host) -> None:
    host.write("lab.toml", '[sysctl]\n"net.ipv4.conf.lo.rp_filter" = "2 3"\n')
    host.daemon()
    host.sh("sleep 3")
    (row,) = host.status()["objects"]
    assert (row["state"], row["repairs"]) == ("diverged", 0), row


def test_a_rule_for_all_addresses_is_as_the_kernel_has_it(host: Host) -> None:
    host.write(
        "lab.toml",
        '[[rule]]\npriority = 112\nfrom = "0.0.0.0/0"\ntable = 5\n\n[[rule]]\npriority = 113\nto = "::/0"\ntable = 5\n',
    )
    host.apply()
    host.apply()
    host.netd("diff")
