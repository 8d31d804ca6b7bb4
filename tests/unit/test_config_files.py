"""Which files count, when they are read, and whom they must belong to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netd.config import Config, ConfigDirectory
from netd.config.read.files import LARGEST, config_files
from netd.errors import ConfigError
from netd.model.key import Key

BRIDGE = "[bridge.br0]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "etc"
    made.mkdir(mode=0o755)
    return made


def names(config: Config) -> set[str]:
    return {str(key) for key in config.desired}


def read(folder: Path, *, trusted: bool = False) -> Config:
    return ConfigDirectory(str(folder), None, trusted=trusted).read(wait=0.1)


def test_only_visible_toml_files_count_in_the_order_of_their_names(folder: Path) -> None:
    for name in ("b.toml", "a.toml", ".hidden.toml", "c.toml~", ".c.toml.swp", "#c.toml#", "c.conf", "c.toml.new"):
        (folder / name).write_text("")
    (folder / "sub").mkdir()
    (folder / "sub" / "d.toml").write_text(BRIDGE)
    config = read(folder)
    assert [state.path for state in config.files] == [str(folder / "a.toml"), str(folder / "b.toml")]
    assert not config.problems


def test_an_empty_file_and_a_link_to_nowhere_declare_nothing(folder: Path) -> None:
    (folder / "a.toml").write_text("")
    (folder / "b.toml").symlink_to("/dev/null")
    config = read(folder, trusted=True)
    assert [state.state for state in config.files] == ["ok", "ok"] and not config.desired and not config.problems


def test_what_is_no_plain_file_is_an_error_and_blocks_nobody(folder: Path) -> None:
    (folder / "a.toml").mkdir()
    os.mkfifo(folder / "b.toml")
    (folder / "c.toml").symlink_to("gone")
    (folder / "d.toml").symlink_to("d.toml")
    (folder / "e.toml").symlink_to("/dev/zero")
    (folder / "f.toml").touch()
    os.truncate(folder / "f.toml", LARGEST + 1)
    (folder / "g.toml").write_text(BRIDGE)
    config = read(folder)
    assert [mistake.message.split(",")[0].split(":")[0] for mistake in config.errors] == [
        "is a directory", "is a FIFO", "is a dangling symbolic link", "cannot be read", "is a device", "is too large",
    ]  # fmt: skip
    assert [state.state for state in config.files] == ["invalid"] * 6 + ["ok"]
    assert names(config) == {"bridge/br0"}


def test_a_directory_that_is_not_there_says_nothing_about_files(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        ConfigDirectory(str(folder / "gone"), None, trusted=False).read()


def test_a_directory_that_goes_after_it_was_listed_says_nothing_about_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.toml").write_text("[bridge.br0]\n")

    def listed(path: str) -> list[str]:
        found = config_files(path)
        folder.rename(folder.with_name("away"))
        return found

    monkeypatch.setattr("netd.config.read.directory.config_files", listed)
    with pytest.raises(ConfigError):
        ConfigDirectory(str(folder), None, trusted=False).read()


def test_a_file_that_did_not_change_is_not_parsed_again(folder: Path) -> None:
    (folder / "a.toml").write_text("[bridge.a]\n")
    (folder / "b.toml").write_text("[bridge.b]\n")
    reader = ConfigDirectory(str(folder), None, trusted=False)
    first = reader.read()
    (folder / "b.toml").write_text("[bridge.c]\n")
    second = reader.read()
    assert names(second) == {"bridge/a", "bridge/c"}
    assert second.desired[Key("", "bridge", "a")] is first.desired[Key("", "bridge", "a")]


def test_a_change_that_leaves_size_and_second_alike_is_seen(folder: Path) -> None:
    reader = ConfigDirectory(str(folder), None, trusted=False)
    for number in range(20):
        (folder / "a.toml").write_text(f"[bridge.b{number % 2}]\n")
        assert names(reader.read()) == {f"bridge/b{number % 2}"}


def test_a_file_held_open_for_writing_keeps_its_last_version(folder: Path) -> None:
    path = folder / "a.toml"
    path.write_text(BRIDGE)
    reader = ConfigDirectory(str(folder), None, trusted=False)
    reader.read()
    with path.open("w") as writer:
        writer.write("[bridge.")
        writer.flush()
        config = reader.read()
        assert names(config) == {"bridge/br0"} and reader.busy == (str(path),) and not config.problems
        writer.write("br1]\n")
    assert names(reader.read()) == {"bridge/br1"} and not reader.busy


def test_a_command_that_waited_in_vain_for_a_writer_says_so(folder: Path) -> None:
    path = folder / "a.toml"
    with path.open("w") as writer:
        writer.write(BRIDGE)
        writer.flush()
        config = read(folder)
        assert [mistake.message.split(" in ")[0] for mistake in config.errors] == ["is open for writing"]
        assert not config.desired
        assert not ConfigDirectory(str(folder), None, trusted=False).read().problems
    assert names(read(folder)) == {"bridge/br0"}


def test_a_reader_does_not_hold_up_the_daemon(folder: Path) -> None:
    (folder / "a.toml").write_text(BRIDGE)
    with (folder / "a.toml").open():
        assert names(read(folder)) == {"bridge/br0"}


def test_who_opens_a_file_while_it_is_looked_at_neither_waits_nor_kills(folder: Path) -> None:
    path = folder / "a.toml"
    path.write_text(BRIDGE)
    script = "import sys\nfor _ in range(3000):\n    open(sys.argv[1], 'a').close()"
    writer = subprocess.Popen([sys.executable, "-c", script, str(path)])
    before = signal.getsignal(signal.SIGIO)
    while writer.poll() is None:
        read(folder)
    assert writer.returncode == 0 and signal.getsignal(signal.SIGIO) == before


def test_every_prefix_of_a_file_that_is_being_written_changes_nothing(folder: Path) -> None:
    text = "[bridge.br0]\n[bridge.br1]\n[bridge.br2]\n"
    path = folder / "a.toml"
    path.write_text(text)
    reader = ConfigDirectory(str(folder), None, trusted=False)
    before = names(reader.read())
    with path.open("w") as writer:
        for line in text.splitlines(keepends=True):
            assert names(reader.read()) == before
            writer.write(line)
            writer.flush()
    assert names(reader.read()) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
class TestTrust:
    """What others could have written is refused by name."""

    def refused(self, folder: Path) -> str:
        config = read(folder, trusted=True)
        (state,) = config.files
        assert state.state == "invalid" and not config.desired
        warned = ConfigDirectory(str(folder), None, trusted=False).read(warn=True)
        assert names(warned) == {"bridge/br0"} and warned.warnings[0].file == state.path and not warned.errors
        return config.errors[0].message

    @pytest.fixture
    def path(self, folder: Path) -> Path:
        path = folder / "a.toml"
        path.write_text(BRIDGE)
        path.chmod(0o644)
        return path

    def test_a_file_of_root_is_taken(self, folder: Path, path: Path) -> None:
        assert names(read(folder, trusted=True)) == {"bridge/br0"}

    @pytest.mark.parametrize("mode", [0o664, 0o646])
    def test_a_file_that_others_may_write(self, folder: Path, path: Path, mode: int) -> None:
        path.chmod(mode)
        assert "is writable by users other than root: chmod go-w " in self.refused(folder)

    def test_a_file_of_someone_else(self, folder: Path, path: Path) -> None:
        os.chown(path, 65534, 0)
        assert "belongs to user 65534, not to root: chown root " in self.refused(folder)

    def test_a_directory_that_others_may_write(self, folder: Path, path: Path) -> None:
        folder.chmod(0o777)
        assert "its directory is writable by users other than root: chmod go-w " in self.refused(folder)

    def test_a_file_that_is_missing_from_a_directory_that_others_may_write(self, folder: Path, path: Path) -> None:
        for forget in (True, False):
            directory = ConfigDirectory(str(folder), str(folder.parent / "cache"), trusted=True)
            directory.read(write=True)
            folder.chmod(0o777)
            path.unlink()
            for reader in (directory, ConfigDirectory(str(folder), str(folder.parent / "cache"), trusted=True)):
                found = reader.read(forget=forget, write=True)
                assert names(found) == {"bridge/br0"}
                assert "is missing, and that is refused: its directory" in str(found.errors[0])
            folder.chmod(0o755)
            assert names(directory.read(write=True)) == set()
            path.write_text(BRIDGE)
            path.chmod(0o644)

    def test_a_link_that_leaves_the_directory(self, folder: Path, path: Path) -> None:
        path.rename(folder.parent / "outside.toml")
        path.symlink_to("../outside.toml")
        said = self.refused(folder)
        assert "leaves the directory" in said
        assert f"cp --remove-destination {folder.parent}/outside.toml {path}" in said

    def test_a_link_into_a_directory_that_others_may_write(self, folder: Path, path: Path) -> None:
        (folder / "sub").mkdir()
        path.rename(folder / "sub" / "a.toml")
        path.symlink_to("sub/a.toml")
        assert names(read(folder, trusted=True)) == {"bridge/br0"}
        (folder / "sub").chmod(0o777)
        assert "a directory on its path" in self.refused(folder)

    def test_a_link_within_the_directory_is_followed(self, folder: Path, path: Path) -> None:
        path.rename(folder / "a.lab")
        path.symlink_to("a.lab")
        assert names(read(folder, trusted=True)) == {"bridge/br0"}
