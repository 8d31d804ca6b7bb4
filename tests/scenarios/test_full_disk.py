"""Folders that cannot be written: netd goes on, and says so once."""

from __future__ import annotations

import pytest

from tests.scenarios.watch import A, B, indexes
from tests.support.host import Host

FULL = "mount -t tmpfs -o size=16k tmpfs {0}; mkdir -p {0}/netd; head -c 20000 /dev/zero > {0}/ballast || true"
READ_ONLY = "mount -t tmpfs -o ro tmpfs {0}"


@pytest.mark.parametrize("how", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_a_cache_that_cannot_be_written_stops_nothing(host: Host, how: str) -> None:
    host.sh(how.format("/var/lib"))
    host.write("a.toml", A)
    result = host.netd("apply")
    assert "/var/lib/netd" in result.stderr and "cannot be kept" in result.stderr
    daemon = host.daemon()
    host.write("b.toml", B)
    host.ping("10.1.0.1", "10.2.0.1")
    host.write("b.toml", "[[[")
    host.until(lambda: host.status()["files"][1]["state"] == "invalid", "the mistake is seen")
    host.ping("10.2.0.1")
    assert daemon.text().count("cannot be kept") == 1 and "Traceback" not in daemon.text()
    assert "[Errno" not in daemon.text()


def test_a_full_state_directory_stops_no_repair_and_is_caught_up_with_later(host: Host) -> None:
    host.sh("mkdir /run/netd; mount -t tmpfs -o size=16k tmpfs /run/netd")
    host.write("a.toml", A)
    daemon = host.daemon()
    host.sh("head -c 20000 /dev/zero > /run/netd/ballast || true")
    host.write("b.toml", B)
    host.ping("10.2.0.1")
    host.run("ip", "addr", "del", "10.1.0.254/24", "dev", "to-a")
    host.ping("10.1.0.1")
    host.until(lambda: "ledger.jsonl cannot be written" in daemon.text(), "the log says so")
    host.run("rm", "/run/netd/ballast")
    host.write("c.toml", "[bridge.br0]\n")
    host.until(lambda: "the ledger can be written again" in daemon.text(), "the log says so")
    assert daemon.text().count("cannot be written") == 1 and "a round failed" not in daemon.text()
    before = indexes(host, "to-a", "to-b", "br0")
    daemon.kill()
    host.daemon().stop()
    assert indexes(host, "to-a", "to-b", "br0") == before
    host.netd("down")
    assert host.names() == set() and host.namespaces() == set()


def test_apply_with_a_full_state_directory_builds_and_says_what_it_could_not_write(host: Host) -> None:
    host.sh("mkdir /run/netd; mount -t tmpfs -o size=16k tmpfs /run/netd; head -c 20000 /dev/zero >/run/netd/x || true")
    host.write("a.toml", A)
    assert "/run/netd/ledger.jsonl cannot be written" in host.netd("apply").stderr
    host.ping("10.1.0.1")
