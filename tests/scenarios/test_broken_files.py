"""Files that are wrong, or not yet whole: what their last good version declared stays in force."""

from __future__ import annotations

import time

from tests.scenarios.watch import A, B, indexes, nothing_happens
from tests.support.host import Host


def test_a_broken_file_keeps_its_last_good_version_in_force(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    daemon = host.daemon()
    before = indexes(host, "to-a", "to-b")
    host.write("a.toml", A.replace("[namespace", "[namespace.", 1))
    host.netd("reload", check=1)
    states = {each["path"].rpartition("/")[2]: each["state"] for each in host.status()["files"]}
    assert states == {"a.toml": "invalid", "b.toml": "ok"}
    host.run("ip", "-n", "a", "addr", "flush", "dev", "eth0")
    host.ping("10.1.0.1", "fd01::1", "10.2.0.1")
    daemon.stop()
    host.daemon()
    assert indexes(host, "to-a", "to-b") == before
    host.rename("a.toml", "0.toml")
    host.netd("reload", check=1)
    time.sleep(0.5)  # what goes, goes after 300 ms: nothing may
    assert indexes(host, "to-a", "to-b") == before
    host.run("ip", "link", "del", "to-a")
    host.ping("10.1.0.1", "fd01::1")
    host.write("0.toml", A.replace("10.1.0.1/24", "10.1.0.9/24"))
    host.ping("10.1.0.9")
    host.netd("reload")


def test_broken_files_that_change_names_keep_what_each_declared(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    daemon = host.daemon()
    before = indexes(host, "to-a", "to-b")
    for name, text in (("a.toml", A), ("b.toml", B)):
        host.write(name, text.replace("[namespace", "[namespace.", 1))
    host.netd("reload", check=1)
    swap = "cd /etc/netd; mv a.toml x; {0} mv b.toml a.toml; {0} mv x b.toml"
    host.sh(swap.format("sleep 0.1;"))
    time.sleep(0.5)  # what goes, goes after 300 ms: nothing may
    assert indexes(host, "to-a", "to-b") == before
    host.write("b.toml", "")  # this one declared a
    host.until(lambda: host.namespaces() == {"b"}, "only b is left")
    host.write("b.toml", A)
    host.ping("10.1.0.1")
    before = indexes(host, "to-a", "to-b")
    host.write("b.toml", "[[[")
    host.netd("reload", check=1)
    daemon.stop()
    host.sh(swap.format(""))
    host.daemon()
    assert indexes(host, "to-a", "to-b") == before
    host.write("b.toml", "")
    host.until(lambda: host.namespaces() == {"a"}, "only a is left")


def test_a_broken_file_that_is_removed_takes_its_objects_with_it(host: Host) -> None:
    host.write("a.toml", A)
    host.daemon()
    host.write("a.toml", "[namespace.a.veth.eth0]\nadresses = 1\n")
    host.netd("reload", check=1)
    assert host.namespaces() == {"a"}
    host.remove("a.toml")
    host.until(lambda: host.namespaces() == set(), "the namespace is gone")


def test_a_broken_file_survives_a_reboot_as_its_last_good_version(host: Host) -> None:
    host.write("a.toml", A)
    host.apply()
    host.write("a.toml", "not = [ toml")
    host.sh("ip netns del a; rm -rf /run/netd")
    host.until(lambda: host.link("to-a") is None, "the machine is as after a reboot")
    host.netd("apply", check=1)
    host.ping("10.1.0.1", "fd01::1")


def test_a_broken_file_without_a_good_version_costs_only_itself(host: Host) -> None:
    host.write("a.toml", "[bridge.br0]\nmtu = 'large'\n")
    host.write("b.toml", B)
    host.daemon()
    host.ping("10.2.0.1", "fd02::1")
    assert host.link("br0") is None


def test_a_valid_declaration_beats_a_last_good_copy(host: Host) -> None:
    host.write("b.toml", '[bridge.br0]\nmtu = 1300\naddresses = ["10.1.0.1/24"]\n')
    host.daemon()
    host.write("b.toml", "[bridge.br0]\nmtu = []\n")
    host.write("c.toml", "[bridge.br0]\nmtu = 1400\n")
    host.until(lambda: host.link("br0")["mtu"] == 1400, "the valid file decides")


def test_a_file_that_is_written_slowly_takes_nothing_away(host: Host) -> None:
    host.write("lab.toml", A + B)
    host.daemon()
    before = indexes(host, "to-a", "to-b")
    text = A + B.replace("10.2.0.1/24", "10.2.0.7/24")
    with nothing_happens(host), host.file("lab.toml").open("w") as slow:
        for line in text.splitlines(keepends=True):
            slow.write(line)
            slow.flush()
            time.sleep(0.1)  # the writer is slow: that is what is tested
        assert indexes(host, "to-a", "to-b") == before
        assert host.addresses("eth0", "b") == {"10.2.0.1/24", "fd02::1/64"}
    host.ping("10.2.0.7", "fd02::1", "10.1.0.1")
    assert indexes(host, "to-a", "to-b") == before


def test_a_new_file_that_is_written_slowly_is_built_when_it_is_closed(host: Host) -> None:
    host.daemon()
    with host.file("lab.toml").open("w") as slow:
        for line in A.splitlines(keepends=True):
            slow.write(line)
            slow.flush()
            time.sleep(0.05)  # the writer is slow: that is what is tested
        assert host.namespaces() == set()
    host.ping("10.1.0.1", "fd01::1")


def test_a_slow_copy_over_the_file_takes_nothing_away(host: Host) -> None:
    host.write("lab.toml", A)
    host.daemon()
    with nothing_happens(host):
        host.write("/run/copy.toml", A)
        host.sh("{ head -n 3 /run/copy.toml; sleep 1; tail -n +4 /run/copy.toml; } > /etc/netd/lab.toml")
        host.netd("reload")


def test_a_command_waits_for_a_file_that_is_open_and_then_says_so(host: Host) -> None:
    host.write("lab.toml", A)
    host.apply()
    with host.file("lab.toml").open("a") as held:
        held.write("# not yet done")
        held.flush()
        said = host.netd("apply", check=None)
        assert "lab.toml" in said.text
        assert host.namespaces() == {"a"}
    host.ping("10.1.0.1")
    host.apply()


def test_a_last_good_copy_makes_room_for_a_valid_file_that_needs_its_vni_or_address(host: Host) -> None:
    host.write("a.toml", '[vxlan.old]\nvni = 8\nremote = "10.8.0.9"\n[bridge.br0]\naddresses = ["10.9.0.1/24"]\n')
    host.daemon()
    index = host.link("br0")["ifindex"]
    host.write("a.toml", "[[[")
    host.until(lambda: host.status()["files"][0]["state"] == "invalid", "the mistake is seen")
    host.write("b.toml", '[vxlan.new]\nvni = 8\nremote = "10.8.0.9"\n[bridge.br1]\naddresses = ["10.9.0.1/24"]\n')
    host.until(lambda: host.names() == {"new", "br0", "br1"}, "the new one has the VNI")
    host.until(lambda: host.addresses("br1") and not host.addresses("br0"), "the new one has the address")
    host.remove("b.toml")
    host.until(lambda: host.names() == {"old", "br0"}, "the last good version is whole again")
    host.until(lambda: host.addresses("br0") == {"10.9.0.1/24"}, "the address is back")
    assert host.link("br0")["ifindex"] == index


def test_a_broken_file_whose_last_good_version_is_lost_takes_nothing_away(host: Host) -> None:
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.1.0.1/24"]\n')
    host.apply()
    host.sh("rm -rf /var/lib/netd")
    host.write("lab.toml", "[bridge.br0]\nvid = 3\n")
    host.netd("apply", check=1)
    assert host.addresses("br0") == {"10.1.0.1/24"}
    host.remove("lab.toml")
    host.netd("apply")
    assert not host.result("ip", "link", "show", "br0").stdout
