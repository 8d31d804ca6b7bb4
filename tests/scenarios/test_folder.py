"""The folder itself: away, back, replaced, behind a link; and files that are away for a moment."""

from __future__ import annotations

import pytest

from tests.scenarios.watch import A, B, indexes
from tests.support.host import Host


def settled(host: Host) -> None:
    """Waits until what no file declares any more would be gone: a bridge of its own file is."""
    host.write("zz.toml", "[bridge.settled]\n")
    host.until(lambda: host.link("settled"), "the bridge of zz.toml is built")
    host.remove("zz.toml")
    host.until(lambda: not host.link("settled"), "the bridge of zz.toml is gone")


def test_a_directory_that_is_away_at_the_start_takes_nothing_away(host: Host) -> None:
    host.write("a.toml", A)
    host.daemon().stop()
    before = indexes(host, "to-a")
    host.run("mv", "/etc/netd", "/etc/netd.off")
    daemon = host.daemon()
    host.sh("ip link set to-a mtu 1400; ip addr del 10.1.0.254/24 dev to-a; ip link add foreign type bridge")
    result = host.netd("reload", check=1)
    assert "/etc/netd cannot be read" in result.stderr and "Traceback" not in daemon.text()
    assert indexes(host, "to-a") == before
    host.run("mv", "/etc/netd.off", "/etc/netd")
    host.until(lambda: "10.1.0.254/24" in host.addresses("to-a"), "the address is back")
    assert indexes(host, "to-a") == before


def away(host: Host) -> str:
    """What ``netd status`` says of the folder itself; "" where it can be read."""
    states = {each["path"]: each for each in host.status()["files"]}
    return "".join(states["/etc/netd"]["errors"]) if "/etc/netd" in states else ""


GONE, FILE = "mv /etc/netd /etc/netd.off", "mv /etc/netd /etc/netd.off; touch /etc/netd"


@pytest.mark.parametrize(("harm", "reason"), [(GONE, "No such file or directory"), (FILE, "Not a directory")])
def test_status_shows_a_directory_that_cannot_be_read(host: Host, harm: str, reason: str) -> None:
    host.write("a.toml", A)
    # A folder of a lower layer (overlayfs) cannot be renamed: mv would copy it, and delete its files one by one.
    host.sh("cp -a /etc/netd /etc/netd.new; rm -r /etc/netd; mv /etc/netd.new /etc/netd")
    daemon = host.daemon()
    host.netd("reload")  # no look at the files is under way any more
    host.sh(harm)
    said = f"/etc/netd cannot be read: {reason}"
    host.until(lambda: away(host) == said, "status tells of the folder")
    assert host.status()["files"][0]["state"] == "invalid" and host.status()["files"][1]["path"] == "/etc/netd/a.toml"
    shown = host.netd("status", check=2).stdout
    assert "invalid  /etc/netd" in shown and f"    {said}\n" in shown
    host.run("ip", "link", "del", "to-a")
    host.until(lambda: "to-a" in host.names(), "what was declared is in force")

    daemon.stop()
    before = indexes(host, "to-a")
    host.daemon()
    assert away(host) == said and indexes(host, "to-a") == before
    assert said in host.netd("status", check=2).stdout
    host.sh("rm -f /etc/netd; mv /etc/netd.off /etc/netd")
    host.until(lambda: host.state("a:veth/eth0") == "ok", "the folder counts again")
    assert away(host) == "" and indexes(host, "to-a") == before


@pytest.mark.parametrize("harm", ["chmod 777", "chown 1000"])
def test_a_directory_that_is_not_trusted_at_the_start_counts_once_it_is(host: Host, harm: str) -> None:
    host.write("a.toml", A)
    host.daemon().stop()
    before = indexes(host, "to-a")
    host.sh(f"{harm} /etc/netd; echo > /etc/netd/b.toml")
    host.daemon()
    states = {each["path"]: each["state"] for each in host.status()["files"]}
    assert states == {"/etc/netd/a.toml": "invalid", "/etc/netd/b.toml": "invalid"}
    assert "is refused: its directory" in host.netd("status", check=2).stdout
    host.sh("chown 0 /etc/netd; chmod 755 /etc/netd")
    host.until(lambda: host.status()["files"][0]["state"] == "ok", "the folder counts again")
    assert indexes(host, "to-a") == before


def test_a_directory_that_is_deleted_takes_nothing_away_and_counts_again_when_it_is_back(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.daemon()
    before = indexes(host, "to-a")
    host.run("mv", "/etc/netd", "/etc/netd.off")
    host.until(lambda: host.netd("reload", check=None).returncode == 1, "the folder is missed")
    host.write("a.toml", A)
    host.until(lambda: "to-b" not in host.names(), "what the new folder does not declare is gone")
    assert indexes(host, "to-a") == before


def test_a_directory_that_is_deleted_with_all_its_files_is_away_and_what_it_declared_is_kept_so(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.daemon()
    before = indexes(host, "to-a", "to-b")
    host.sh("rm /etc/netd/b.toml; sleep 0.1; rm -r /etc/netd")
    host.until(lambda: away(host), "status tells of the folder")
    host.run("ip", "link", "set", "to-b", "down")
    host.until(lambda: "UP" in host.link("to-b")["flags"], "it is repaired")
    assert indexes(host, "to-a", "to-b") == before
    host.write("a.toml", A)
    host.until(lambda: "to-b" not in host.names(), "what the new folder does not declare is gone")
    assert indexes(host, "to-a") == before[:1]


def test_a_directory_that_is_replaced_by_another_disturbs_nothing_that_both_declare(host: Host) -> None:
    host.write("a.toml", A)
    host.daemon()
    before = indexes(host, "to-a")
    host.write("/etc/netd.new/a.toml", A)
    host.write("/etc/netd.new/b.toml", B)
    host.sh("mv /etc/netd /etc/netd.old; mv /etc/netd.new /etc/netd")
    host.until(lambda: "to-b" in host.names(), "the new file is built")
    host.remove("b.toml")
    host.until(lambda: "to-b" not in host.names(), "changes in the new folder are seen")
    assert indexes(host, "to-a") == before


def test_a_directory_behind_a_link_is_watched_and_may_be_exchanged(host: Host) -> None:
    host.sh("rmdir /etc/netd; ln -s first /etc/netd; mkdir /etc/first")
    host.write("/etc/first/a.toml", A)
    daemon = host.daemon()
    before = indexes(host, "to-a")
    host.write("/etc/second/a.toml", A)
    host.write("/etc/second/b.toml", B)
    host.run("ln", "-sfn", "second", "/etc/netd")
    host.until(lambda: "to-b" in host.names(), "the other folder counts")
    host.remove("/etc/second/b.toml")
    host.until(lambda: "to-b" not in host.names(), "changes in the other folder are seen")
    assert indexes(host, "to-a") == before
    daemon.stop()
    host.netd("down", "/etc/second/a.toml")
    assert "to-a" not in host.names()


def test_a_file_behind_a_link_into_a_subdirectory_is_watched(host: Host) -> None:
    host.write("parts/real.conf", "[bridge.br0]\n")
    host.run("ln", "-s", "parts/real.conf", "/etc/netd/a.toml")
    host.daemon()
    host.write("parts/real.conf", "[bridge.br0]\nmtu = 1400\n")
    host.until(lambda: host.link("br0")["mtu"] == 1400, "the change is made")


def test_a_file_that_is_away_for_a_moment_and_comes_back_broken_changes_nothing(host: Host) -> None:
    host.write("a.toml", A)
    daemon = host.daemon()
    before = indexes(host, "to-a")
    host.sh("cd /etc/netd; mv a.toml a.toml~; sleep 0.06; echo '[[[' > a.toml")
    host.until(lambda: host.status()["files"][0]["state"] == "invalid", "the mistake is seen")
    settled(host)
    assert indexes(host, "to-a") == before
    daemon.kill()
    host.daemon()
    assert indexes(host, "to-a") == before


def test_a_file_that_is_away_for_a_moment_and_is_then_written_slowly_changes_nothing(host: Host) -> None:
    host.write("a.toml", A)
    host.write("/etc/whole", A)
    host.daemon()
    before = indexes(host, "to-a")
    host.run("rm", "/etc/netd/a.toml")
    writer = host.start("sh", "-c", "sleep 0.06; exec > /etc/netd/a.toml; head -c 30 /etc/whole; sleep 2")
    host.until(lambda: host.file("a.toml").exists() and host.file("a.toml").stat().st_size, "the writer has begun")
    settled(host)
    assert writer.popen.poll() is None, "the writer was still there"
    assert indexes(host, "to-a") == before


def test_reload_names_a_file_that_is_held_open(host: Host) -> None:
    host.daemon()
    host.start("sh", "-c", "exec 3> /etc/netd/b.toml; echo '[bridge.br7]' >&3; sleep 3")
    host.until(lambda: host.file("b.toml").exists(), "the writer has begun")
    result = host.netd("reload", check=1)
    assert "/etc/netd/b.toml: is open for writing" in result.stderr
    host.until(lambda: host.link("br7"), "it is built when its writer is done")


@pytest.mark.parametrize("number", [1, 2])
def test_a_daemon_that_is_stopped_while_it_builds_leaves_what_is_built_to_the_next(host: Host, number: int) -> None:
    pairs = [
        f'[namespace.n{n}.veth.eth0]\naddresses = ["10.{n // 250}.{n % 250}.1/24"]\npeer = {{ name = "v{n}" }}\n'
        for n in range(300)
    ]
    host.write("a.toml", "".join(pairs))
    daemon = host.daemon(wait=False)
    host.until(lambda: len(host.names()) > 10 * number, "some are built")
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.text() and "a round failed" not in daemon.text()
    before = {each["ifname"]: each["ifindex"] for each in host.links()}
    host.daemon()
    after = {each["ifname"]: each["ifindex"] for each in host.links()}
    assert len(after) == 301 and before.items() <= after.items()


def test_a_link_to_the_directory_itself_is_refused_and_stops_nothing(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\n")
    host.daemon()
    for target in (".", "../netd", "/etc/netd"):
        host.sh(f"ln -sfn {target} /etc/netd/x.toml")
        assert "x.toml" in host.netd("check", check=1).text
        assert "x.toml" in host.netd("reload", check=1).text
    host.sh("rm /etc/netd/x.toml; ip link del br0")
    host.until(lambda: host.result("ip", "link", "show", "br0").stdout, "the bridge is back")
