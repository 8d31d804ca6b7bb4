"""A path in a directory of somebody's leads where he likes: it is not followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from netd.kernel.netns.trust import distrust
from tests.attack.user import User, number
from tests.support.host import Host

LAB = """
[namespace.box]
attach = "/srv/u/ns"

[namespace.box.veth.eth0]
addresses = ["10.5.0.1/24"]
peer = { name = "to-box" }
"""


@pytest.mark.parametrize("how", ["a link to another's namespace", "a link above it", "his directory"])
def test_what_a_user_puts_where_a_file_of_roots_leads_is_not_built_into(host: Host, how: str) -> None:
    host.sh("""
        mount -t tmpfs -o mode=755 tmpfs /srv; mkdir /srv/u /srv/root; ip netns add victim
        touch /srv/root/ns; mount --bind /run/netns/victim /srv/root/ns
    """)
    if how == "a link above it":
        host.sh("mkdir /srv/v; chown 65534 /srv/v; rmdir /srv/u; ln -s /srv/v/way /srv/u; ln -s /srv/root /srv/v/way")
    elif how == "his directory":
        host.sh("chown 65534 /srv/u; touch /srv/u/ns; mount --bind /run/netns/victim /srv/u/ns")
    else:
        host.sh("chmod 777 /srv/u; ln -s /run/netns/victim /srv/u/ns")
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    assert host.names("victim") == set()
    status = next(each for each in host.status()["objects"] if each["object"] == "namespace/box")
    assert status["state"] == "pending" and "refused" in status["reason"], status
    daemon.stop()
    host.sh("chown -h 0 /srv/u; chown 0 /srv/v || :; chmod 755 /srv/u")
    host.daemon()
    host.until(lambda: host.names("victim") == {"eth0"}, "once it is root's alone it is taken")


def test_a_way_that_is_roots_alone_is_trusted_also_where_it_is_not_there_yet(host: Host) -> None:
    assert distrust("/run/docker/netns/0123456789ab") == ""
    assert distrust("/proc/1/ns/net") == ""
    assert "can write" in distrust("/tmp/x") or "belongs" in distrust("/tmp/x")
    container = number(host, User(host).container())
    assert distrust(f"/proc/{container}/ns/net") == ""


def test_a_circle_of_links_has_an_end(tmp_path: Path) -> None:
    base = Path("/run") / f"netd-circle-{tmp_path.name}"
    base.mkdir(mode=0o755)
    try:
        (base / "a").symlink_to(base / "b")
        (base / "b").symlink_to(base / "a")
        assert "too many links" in distrust(str(base / "a"))
    finally:
        for name in ("a", "b"):
            (base / name).unlink()
        base.rmdir()
