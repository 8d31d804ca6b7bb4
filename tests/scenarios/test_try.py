"""``netd try``: a change that nobody confirms is put back, byte for byte, whatever ends first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.host import ROOT, Host
from tests.support.picture_of_files import picture
from tests.support.process import child_of, until
from tests.support.terminal import Terminal, read_until

OLD = "[bridge.br0]\nmtu = 1400\n"
NEW = "[bridge.br0]\nmtu = 1300\n[bridge.br1]\n"


def prepared(host: Host) -> dict[str, tuple[object, ...]]:
    """A lab with a file of an unusual mode, and a new version of it elsewhere."""
    host.write("lab.toml", OLD)
    host.run("chmod", "600", "/etc/netd/lab.toml")
    host.run("chgrp", "adm", "/etc/netd/lab.toml")
    host.file("/run/new").mkdir()
    host.file("/run/new/lab.toml").write_text(NEW)
    host.file("/run/new/more.toml").write_text("[bridge.br2]\n")
    return picture(host.file("/etc/netd"))


FILES = ("/run/new/lab.toml", "/run/new/more.toml")


@contextmanager
def trying(host: Host, *args: str) -> Iterator[subprocess.Popen[str]]:
    """``netd try`` with a pipe for what is typed; it is in force when this begins."""
    command = host.inside([sys.executable, "-m", "netd", "try", *args])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as popen:  # fmt: skip
        try:
            host.until(lambda: mtu(host) == 1300 or popen.poll() is not None, "the new files are in force")
            yield popen
        finally:
            popen.kill()


def mtu(host: Host) -> int:
    return int(host.link("br0")["mtu"])


def as_before(host: Host, before: dict[str, tuple[object, ...]]) -> None:
    """The directory and the network."""
    host.until(lambda: picture(host.file("/etc/netd")) == before, "the directory is as it was")
    host.until(lambda: mtu(host) == 1400 and not {"br1", "br2"} & host.names(), "the network is as it was")


def test_enter_keeps_the_change_and_anything_else_puts_it_back(host: Host) -> None:
    before = prepared(host)
    host.daemon()
    with trying(host, *FILES) as popen:
        said, _ = popen.communicate("no\n")
    assert popen.returncode == 1 and "put back" in said, said
    as_before(host, before)
    with trying(host, *FILES) as popen:
        said, _ = popen.communicate("\n")
    assert popen.returncode == 0 and said.endswith("kept\n"), said
    kept = picture(host.file("/etc/netd"))
    assert set(kept) == {"lab.toml", "more.toml"} and kept["lab.toml"] == (*before["lab.toml"][:3], NEW.encode())
    assert mtu(host) == 1300 and {"br1", "br2"} <= host.names()


@pytest.mark.parametrize(
    "how", ["time", "command killed", "end of input", "daemon killed", "daemon stopped", "both killed"]
)
def test_whatever_ends_first_the_directory_and_the_network_are_as_before(host: Host, how: str) -> None:
    before = prepared(host)
    daemon = host.daemon()
    with trying(host, *FILES, "--timeout", "2s" if how == "time" else "60s") as popen:
        pid = until(lambda: child_of(popen.pid), "the command has started")
        match how:
            case "end of input":
                assert popen.stdin is not None
                popen.stdin.close()
            case "command killed":
                os.kill(pid, signal.SIGKILL)
            case "daemon stopped":
                daemon.stop()
            case "daemon killed":
                daemon.kill()
            case "both killed":
                daemon.signal(signal.SIGSTOP)
                os.kill(pid, signal.SIGKILL)
                daemon.kill()
        if how == "both killed":
            assert picture(host.file("/etc/netd")) != before
        else:
            host.until(lambda: popen.poll() is not None, "the command has ended")
            assert popen.stdout is not None
            said = popen.stdout.read()
            assert popen.returncode == 1 or how == "command killed", said
            host.until(lambda: picture(host.file("/etc/netd")) == before, f"the directory is as it was: {said}")
    if daemon.popen.poll() is not None:
        host.daemon()
    as_before(host, before)


@pytest.mark.thorough
def test_after_a_reboot_apply_puts_it_back_first(host: Host) -> None:
    before = prepared(host)
    daemon = host.daemon()
    with trying(host, *FILES) as popen:
        pid = until(lambda: child_of(popen.pid), "the command has started")
        daemon.signal(signal.SIGSTOP)  # so that neither does anything when the other one ends
        os.kill(pid, signal.SIGKILL)
        daemon.kill()
    host.sh("ip link del br0; ip link del br1; ip link del br2; rm -rf /run/netd")
    host.netd("apply")
    as_before(host, before)


@pytest.mark.thorough
def test_a_lost_terminal_puts_it_back(host: Host) -> None:
    before = prepared(host)
    host.daemon()
    popen, ours = Terminal(host).start("try", *FILES)
    assert "Press Enter within" in read_until(ours, "puts it back: ")
    os.close(ours)
    host.until(lambda: popen.poll() is not None, "the command has ended")
    as_before(host, before)


def test_a_second_try_and_invalid_files_are_refused_and_change_nothing(host: Host) -> None:
    prepared(host)
    host.daemon()
    host.file("/run/bad.toml").write_text("[bridge.br0]\nmtuu = 1\n")
    with trying(host, *FILES) as popen:
        during = picture(host.file("/etc/netd"))
        second = host.netd("try", "/run/new/more.toml", check=None)
        assert second.returncode == 1 and "is being tried already" in second.stderr
        assert picture(host.file("/etc/netd")) == during
        assert host.status()["try"]["files"] == ["/etc/netd/lab.toml", "/etc/netd/more.toml"]
        popen.communicate("no\n")
    before = picture(host.file("/etc/netd"))
    for path, said in (
        ("/run/bad.toml", "did you mean 'mtu'?"),
        ("/run/none.toml", "No such file"),
        ("/etc/netd/lab.toml", "is in force already"),
        ("/etc/hostname", "their names end in .toml"),
    ):
        done = host.netd("try", path, check=None)
        assert done.returncode == 1 and said in done.stderr, done
    assert picture(host.file("/etc/netd")) == before


def test_an_edit_by_somebody_else_stays_and_the_former_version_is_kept_beside_it(host: Host) -> None:
    prepared(host)
    host.daemon()
    with trying(host, *FILES) as popen:
        host.write("lab.toml", "[bridge.br0]\nmtu = 1350\n")
        said, _ = popen.communicate("no\n")
    assert "was changed by someone else meanwhile" in said
    assert host.file("/etc/netd/lab.toml").read_text() == "[bridge.br0]\nmtu = 1350\n"
    assert host.file("/etc/netd/lab.toml.former").read_text() == OLD
    host.until(lambda: mtu(host) == 1350, "the edit is in force")


@pytest.mark.thorough
def test_test_shows_the_checks_and_the_answer_still_decides(host: Host) -> None:
    prepared(host)
    host.file("/run/new/more.toml").write_text(
        '[[check]]\nping = "127.0.0.1"\n[[check]]\nname="x"\ncommand = ["false"]\nwithin = "0s"\n'
    )
    host.daemon()
    with trying(host, *FILES, "--test") as popen:
        said, _ = popen.communicate("\n")
    assert "ok    ping 127.0.0.1" in said and "FAIL  x" in said and said.endswith("kept\n") and popen.returncode == 0


def test_edit_checks_shows_and_tries_what_the_editor_wrote(host: Host) -> None:
    before = prepared(host)
    host.daemon()
    env = {"EDITOR": "sed -i s/1400/1300/", "PYTHONPATH": str(ROOT)}
    done = host.result(sys.executable, "-m", "netd", "edit", "lab", env=env, stdin="\n")
    assert done.returncode == 0 and "mtu: 1400 → 1300" in done.stdout and done.stdout.endswith("kept\n"), done
    assert host.file("/etc/netd/lab.toml").read_text() == OLD.replace("1400", "1300")
    env["EDITOR"] = "sed -i s/mtu/mtuu/"
    done = host.result(sys.executable, "-m", "netd", "edit", "lab", env=env)
    assert done.returncode == 1 and "did you mean 'mtu'?" in done.stderr and "your version is in" in done.stderr
    env["EDITOR"] = "true"
    assert "nothing was edited" in host.result(sys.executable, "-m", "netd", "edit", "lab.toml", env=env).stdout
    assert picture(host.file("/etc/netd")).keys() == before.keys()
