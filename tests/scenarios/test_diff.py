"""``netd diff``: colors and counts, the preview of an edited copy, and paths that are nowhere."""

from __future__ import annotations

import pytest

from tests.support.host import Host
from tests.support.terminal import Terminal, plain

A = "[bridge.br-a]\nmtu = 1400\n"
B = "[bridge.br-b]\n[bridge.br-c]\n"
GREEN, YELLOW, RED = "\x1b[32m", "\x1b[33m", "\x1b[31m"


def test_the_last_line_counts_and_each_action_has_its_color(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.apply()
    host.run("ip", "link", "set", "br-a", "mtu", "1280")
    host.write("b.toml", "[bridge.br-b]\n[bridge.br-d]\n[bridge.br-e]\n")
    said = host.netd("diff", check=2).stdout
    assert said.splitlines()[-1] == "2 to add, 1 to change, 1 to remove" and "\x1b" not in said
    status, shown = Terminal(host).netd("diff")
    assert status == 2 and plain(shown) == said
    assert f"{GREEN}+ create   bridge/br-d" in shown
    assert f"{YELLOW}~ update   bridge/br-a" in shown
    assert f"{RED}- delete   bridge/br-c" in shown
    status, shown = Terminal(host, env={"NO_COLOR": "1"}).netd("diff")
    assert shown == said
    host.apply()
    assert host.netd("diff").stdout == "in sync, 4 objects\n"


def test_a_link_that_must_be_recreated_and_what_is_pending_are_counted(host: Host) -> None:
    host.write("a.toml", '[vxlan.x0]\nvni = 7\nremote = "10.0.0.1"\n')
    host.apply()
    host.write(
        "a.toml", '[vxlan.x0]\nvni = 8\nremote = "10.0.0.1"\n[veth.v0]\npeer = { name = "v1", namespace = "x" }\n'
    )
    said = host.netd("diff", check=2).stdout
    assert said.splitlines()[-1] == "0 to add, 0 to change, 1 to recreate, 0 to remove, 1 pending"


def test_a_preview_of_a_copy_of_the_directory_shows_what_would_be_taken_away(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.apply()
    host.sh("mkdir /run/copy; cp /etc/netd/a.toml /run/copy; chown -R 65534 /run/copy")
    told = host.netd("diff", "--json", "--against", "/run/copy", check=2).json
    assert told["version"] == 1
    assert {(each["action"], each["object"]) for each in told["changes"]} == {
        ("delete", "bridge/br-b"), ("delete", "bridge/br-c"),
    }  # fmt: skip
    host.sh("cp /etc/netd/b.toml /run/copy")
    assert host.netd("diff", "--against", "/run/copy").stdout.startswith("in sync")
    assert host.names() == {"br-a", "br-b", "br-c"}


def test_a_preview_of_one_file_takes_the_place_of_the_file_of_that_name(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.apply()
    host.write("/run/edit/b.toml", "[bridge.br-c]\n[bridge.br-d]\n")
    (added, removed) = host.netd("diff", "--json", "--against", "/run/edit/b.toml", check=2).json["changes"]
    assert sorted([added["object"], removed["object"]]) == ["bridge/br-b", "bridge/br-d"]
    assert {each["file"] for each in (added, removed)} == {"/etc/netd/b.toml"}
    host.write("/run/edit/new.toml", "[bridge.br-n]\n")
    assert host.netd("diff", "--against", "/run/edit/new.toml", check=2).stdout.endswith(
        "1 to add, 0 to change, 0 to remove\n"
    )


def test_a_preview_of_a_copy_with_an_error_shows_the_error_only(host: Host) -> None:
    host.write("a.toml", A)
    host.apply()
    for text in ("[bridge.br-a]\nmtuu = 3\n", "[bridge.br-a\n"):
        host.write("/run/edit/a.toml", text)
        for copy in ("/run/edit/a.toml", "/run/edit"):
            done = host.netd("diff", "--against", copy, check=1)
            assert done.stderr.startswith("/run/edit/a.toml:") and done.stdout == ""


@pytest.mark.parametrize("copy", ["/run/nowhere", "/run/edit/nothing.toml", "/etc/hostname", ""])
def test_a_preview_of_what_is_no_copy_is_an_error(host: Host, copy: str) -> None:
    done = host.netd("diff", "--against", copy, check=1)
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("netd: ") and done.stdout == ""


@pytest.mark.parametrize("verb", ["check", "diff", "apply", "down"])
@pytest.mark.parametrize("path", ["/etc/netd/lba.toml", "/run/nowhere", "/run/nowhere/lab.toml"])
def test_a_path_that_is_neither_there_nor_in_the_ledger_is_an_error(host: Host, verb: str, path: str) -> None:
    host.write("lab.toml", A)
    host.apply()
    done = host.netd(verb, path, check=1)
    assert f"{path}: there is no such file or directory" in done.stderr and "in sync" not in done.stdout
    assert host.names() == {"br-a"}
    host.remove("lab.toml")
    if verb != "check":
        host.netd(verb, "/etc/netd/lab.toml", check=2 if verb == "diff" else 0)
