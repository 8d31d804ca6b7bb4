"""``hosts = true`` and ``dns`` of a namespace: the files that ``ip netns exec`` shows in it."""

from __future__ import annotations

from tests.support.host import Host

LAB = """
[bridge.br0]

[namespace."h{1..3}".veth.eth0]
addresses = ["10.0.0.{n}/24", "fd00::{n}/64"]
nodad = true
peer = { name = "h{n}", master = "br0" }

[namespace."h{1..2}"]
hosts = true
dns = ["10.0.0.3"]
"""
HOSTS, RESOLV = "/etc/netns/h1/hosts", "/etc/netns/h1/resolv.conf"


def lines(host: Host, path: str) -> list[str]:
    """A file without its first line, which says that it is netd's."""
    first, *rest = host.file(path).read_text().splitlines()
    assert first.startswith("# netd ")
    return rest


def test_names_of_the_lab_are_known_in_a_namespace_and_the_files_go_with_their_keys(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.apply()
    assert [f"{address} h{n}" for n in (1, 2, 3) for address in (f"10.0.0.{n}", f"fd00::{n}")] == lines(host, HOSTS)[2:]
    assert lines(host, RESOLV) == ["nameserver 10.0.0.3"]
    assert (
        host.file(HOSTS).stat().st_mode & 0o777 == 0o644 and host.file("/etc/netns/h1").stat().st_mode & 0o777 == 0o755
    )
    assert not host.file("/etc/netns/h3").exists()
    host.ping("h2", "h3", ns="h1")
    assert host.run("getent", "hosts", "h3", ns="h1").split()[1] == "h3"
    assert host.netd("diff", "--json").json["changes"] == []
    host.write("lab.toml", LAB.replace("hosts = true\n", "").replace("10.0.0.3", "10.0.0.2"))
    host.apply()
    assert not host.file(HOSTS).exists() and lines(host, RESOLV) == ["nameserver 10.0.0.2"]
    host.netd("down")
    assert not host.file("/etc/netns/h1").exists()


def test_the_daemon_keeps_them_and_follows_addresses_of_all_files(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.write(
        "more.toml", '[namespace.extra.veth.eth0]\naddresses = ["10.0.0.9/24"]\npeer = { name = "x", master = "br0" }\n'
    )
    host.until(lambda: "10.0.0.9 extra" in lines(host, HOSTS), "the new namespace is known")
    host.run("sed", "-i", "s/extra/other/", HOSTS)
    host.until(lambda: "10.0.0.9 extra" in lines(host, HOSTS), "an edit is undone")
    host.run("mv", "/etc/netns/h1", "/etc/away1")
    host.until(lambda: host.file(HOSTS).exists() and host.file(RESOLV).exists(), "deleted files come back")
    host.run("mv", "/etc/netns", "/etc/away")
    host.until(lambda: host.file(HOSTS).exists() and host.file("/etc/netns/h2/hosts").exists(), "all of them, too")
    host.remove("more.toml")
    host.until(lambda: "10.0.0.9 extra" not in lines(host, HOSTS), "what is gone is forgotten")
    assert host.state("etc/h1/hosts") == "ok"


def test_a_file_of_somebody_else_is_a_conflict_and_stays(host: Host) -> None:
    host.sh("mkdir -p /etc/netns/h1; echo mine >/etc/netns/h1/hosts; ln -s /etc/resolv.conf /etc/netns/h1/resolv.conf")
    host.write("lab.toml", LAB)
    host.daemon()
    assert {host.state("etc/h1/hosts"), host.state("etc/h1/resolv.conf")} == {"conflict"}
    host.run("rm", HOSTS)
    host.until(lambda: host.state("etc/h1/hosts") == "ok", "without it, netd writes its own")
    host.remove("lab.toml")
    host.until(lambda: not host.file(HOSTS).exists(), "netd's own is removed")
    assert host.file(RESOLV).is_symlink()


def test_what_a_reboot_left_of_an_earlier_lab_is_an_orphan(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.apply()
    host.run("rm", "-r", "/run/netd")
    host.remove("lab.toml")
    host.daemon()
    assert host.state("etc/h1/hosts") == "orphan"


def test_a_service_that_runs_in_the_namespace_sees_the_change(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    inside = host.start("sh", "-c", "while sleep 0.1; do grep extra /etc/hosts && break; done", ns="h1")
    host.write("more.toml", '[namespace.extra.veth.eth0]\naddresses = ["10.0.0.9/24"]\npeer = { name = "x" }\n')
    host.until(lambda: "10.0.0.9 extra" in inside.text(), "it reads the new name")
