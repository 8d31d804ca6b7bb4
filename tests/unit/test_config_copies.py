"""Last good versions: what a broken file declared stays in force until it is good again, or gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netd.config import Config, ConfigDirectory

GOOD = "[bridge.br0]\nmtu = 1400\n"
BROKEN = "[bridge.br0]\nmtu = 'large'\n"


class Machine:
    """A configuration folder, its cache, and netd in between, which may be started again."""

    def __init__(self, root: Path) -> None:
        self.etc = root / "etc"
        self.cache = root / "cache"
        self.etc.mkdir()
        self.start()

    def start(self) -> None:
        self.reader = ConfigDirectory(str(self.etc), str(self.cache), trusted=False)

    def read(self) -> Config:
        return self.reader.read(write=True)

    def write(self, name: str, text: str) -> Path:
        (self.etc / name).write_text(text)
        return self.etc / name

    def bridges(self) -> set[str]:
        return {key.name for key in self.read().desired if key.kind == "bridge"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    "broken", [BROKEN, "not = [ toml", "[bridge.br1]\n\xff[", "[bridge.br0]\n[vxlan.br0]\nvni = 1"]
)
@pytest.mark.parametrize("restart", [False, True])
def test_a_broken_file_changes_nothing(machine: Machine, broken: str, restart: bool) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    path = machine.write("a.toml", "")
    path.write_bytes(broken.encode("latin-1"))
    if restart:
        machine.start()
    config = machine.read()
    assert [key.name for key in config.desired] == ["br0"]
    assert config.files[0].state == "invalid" and len(config.files[0].errors) == len(config.errors) == 1


def test_a_file_that_is_good_again_counts_at_once(machine: Machine) -> None:
    for text in (GOOD, BROKEN, "[bridge.br1]\n"):
        machine.write("a.toml", text)
        machine.read()
    assert machine.bridges() == {"br1"}
    machine.write("a.toml", BROKEN)
    assert machine.bridges() == {"br1"}


def test_a_broken_file_that_is_removed_takes_its_copy_with_it(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    path = machine.write("a.toml", BROKEN)
    machine.read()
    path.unlink()
    assert not machine.bridges()
    machine.write("a.toml", BROKEN)
    assert not machine.bridges()
    assert not list((machine.cache / "files").iterdir())


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_the_copy_follows_a_broken_file_to_its_new_name(machine: Machine, seen: bool, restart: bool) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    path = machine.write("a.toml", BROKEN)
    if seen:
        machine.read()
    path.rename(machine.etc / "z.toml")
    if restart:
        machine.start()
    assert machine.bridges() == {"br0"}
    machine.start()
    assert machine.bridges() == {"br0"}
    (machine.etc / "z.toml").unlink()
    assert not machine.bridges()


def test_the_copy_follows_by_content_where_the_inode_is_another(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    path = machine.write("a.toml", BROKEN)
    machine.read()
    machine.write("z.toml", BROKEN)
    path.unlink()
    assert machine.bridges() == {"br0"}


def test_another_broken_file_does_not_inherit_what_a_removed_one_declared(machine: Machine) -> None:
    path = machine.write("a.toml", GOOD)
    machine.read()
    path.unlink()
    machine.write("z.toml", BROKEN)
    assert not machine.bridges()


def test_the_copy_follows_although_a_new_file_took_the_old_name(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    machine.write("a.toml", BROKEN).rename(machine.etc / "z.toml")
    machine.write("a.toml", "[bridge.br1]\n")
    assert machine.bridges() == {"br0", "br1"}


def test_a_repaired_file_is_not_kept_alive_by_a_broken_copy_of_it(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    machine.write("a.toml", BROKEN)
    machine.read()
    machine.write("b.toml", BROKEN)
    machine.read()
    machine.write("a.toml", "[bridge.br1]\n")
    assert machine.bridges() == {"br1"}


def swap(machine: Machine, *names: str, tell: Callable[[], object] = lambda: None) -> None:
    """Each file takes the name of the next one, the last one that of the first; ``tell`` after each move."""
    files = [machine.etc / name for name in names]
    files[-1].rename(machine.etc / "away")
    tell()
    for number in range(len(files) - 1, 0, -1):
        files[number - 1].rename(files[number])
        tell()
    (machine.etc / "away").rename(files[0])


def in_force(machine: Machine, config: Config) -> dict[str, set[str]]:
    """What each file's last good version keeps."""
    found: dict[str, set[str]] = {state.path.rpartition("/")[2]: set() for state in config.files}
    for key, each in config.desired.items():
        found[each.file.rpartition("/")[2]].add(key.name)
    return found


@pytest.mark.parametrize("live", ["never", "each step", "at the end"])
@pytest.mark.parametrize("names", [("a.toml", "b.toml"), ("a.toml", "b.toml", "c.toml")], ids=["two", "three"])
@pytest.mark.parametrize("whole", [None, "b.toml"], ids=["all broken", "one good"])
@pytest.mark.parametrize("seen", [True, False])
def test_copies_follow_files_that_change_names(
    machine: Machine, live: str, names: tuple[str, ...], whole: str | None, seen: bool
) -> None:
    for name in names:
        machine.write(name, f"[bridge.of-{name[0]}]\n")
    machine.read()
    for name in names:
        if name != whole:
            machine.write(name, BROKEN + f"# {name}\n")
    if seen:
        machine.read()
    if live == "never":
        machine.start()
    if live == "each step":
        swap(machine, *names, tell=lambda: machine.reader.read(write=True, forget=False))
    else:
        swap(machine, *names)
    expected = {names[(number + 1) % len(names)]: {f"of-{name[0]}"} for number, name in enumerate(names)}
    for _ in range(2):
        assert in_force(machine, machine.reader.read(write=True, forget=False)) == expected
        machine.reader.forget_gone()
        assert in_force(machine, machine.read()) == expected
        machine.start()


def break_both(machine: Machine) -> None:
    """Two files, each with a copy of its own, and each broken in its own way."""
    for name in "ab":
        machine.write(f"{name}.toml", f"[bridge.of-{name}]\n")
    machine.read()
    for name in "ab":
        machine.write(f"{name}.toml", BROKEN + f"# {name}\n")
    machine.read()


def test_copies_follow_contents_where_editors_swap_them(machine: Machine) -> None:
    break_both(machine)
    for name, other in ("ab", "ba"):
        machine.write("new", BROKEN + f"# {other}\n").rename(machine.etc / f"{name}.new")
    for name in "ab":
        (machine.etc / f"{name}.new").rename(machine.etc / f"{name}.toml")
    assert in_force(machine, machine.read()) == {"a.toml": {"of-b"}, "b.toml": {"of-a"}}


def test_a_broken_file_that_is_written_anew_keeps_its_copy_beside_a_backup_of_it(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    machine.write("a.toml", BROKEN)
    machine.read()
    machine.write("z.toml", BROKEN)
    machine.write("new", BROKEN + "# still wrong\n").rename(machine.etc / "a.toml")
    assert in_force(machine, machine.read()) == {"a.toml": {"br0"}, "z.toml": set()}


def test_a_file_that_is_moved_over_another_takes_its_copy_along_and_the_others_is_gone(machine: Machine) -> None:
    break_both(machine)
    (machine.etc / "a.toml").rename(machine.etc / "b.toml")
    assert in_force(machine, machine.read()) == {"b.toml": {"of-a"}}
    assert len(list((machine.cache / "files").iterdir())) == 1


def test_the_copy_follows_a_file_that_was_written_anew_with_the_same_content(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    machine.write("new", GOOD).rename(machine.etc / "a.toml")
    machine.read()
    machine.write("a.toml", BROKEN).rename(machine.etc / "z.toml")
    assert machine.bridges() == {"br0"}


def test_a_valid_declaration_beats_a_copy_whatever_their_names(machine: Machine) -> None:
    machine.write("b.toml", GOOD + 'addresses = ["10.0.0.1/24"]\n[bridge.other]\n')
    machine.read()
    machine.write("b.toml", BROKEN)
    for name in ("a.toml", "c.toml"):
        path = machine.write(name, "[bridge.br0]\nmtu = 1300\n")
        config = machine.read()
        desired = {str(key): each for key, each in config.desired.items()}
        assert desired.keys() == {"bridge/br0", "bridge/other"}
        assert desired["bridge/br0"].fields["mtu"] == 1300
        assert [state.state for state in config.files if state.path == str(path)] == ["ok"]
        path.unlink()


def test_a_file_that_is_written_while_netd_starts_keeps_what_it_declared(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    with (machine.etc / "a.toml").open("w") as writer:
        machine.start()
        assert machine.bridges() == {"br0"}
        (machine.etc / "a.toml").rename(machine.etc / "z.toml")
        assert machine.bridges() == {"br0"}
        writer.write("[bridge.br1]\n")
    assert machine.bridges() == {"br1"}


def test_without_write_the_cache_stays_as_it_is(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.reader.read()
    assert not machine.cache.exists()
    machine.reader.save()
    before = {path: path.read_bytes() for path in (machine.cache / "files").iterdir()}
    machine.write("a.toml", BROKEN)
    machine.start()
    assert machine.reader.read().desired
    assert {path: path.read_bytes() for path in (machine.cache / "files").iterdir()} == before


def test_a_torn_or_foreign_copy_is_none(machine: Machine) -> None:
    machine.write("a.toml", GOOD)
    machine.read()
    (copy,) = (machine.cache / "files").iterdir()
    machine.write("a.toml", BROKEN)
    (machine.cache / "files" / "x").write_bytes(b"\xff\xfe")
    for content in (copy.read_bytes()[:-5], b"", b"# netd: []\n", b"# netd: {}\n"):
        copy.write_bytes(content)
        machine.start()
        assert not machine.reader.read().desired


def test_a_cache_that_cannot_be_written_is_a_warning(machine: Machine) -> None:
    machine.cache.write_text("not a folder")
    machine.write("a.toml", GOOD)
    config = machine.read()
    assert config.desired and not config.errors
    assert [mistake.message.split(":")[0] for mistake in config.warnings] == ["last good versions cannot be kept"]


@pytest.mark.parametrize(
    "name",
    [b"\xcf\xd4" * 60, b"\xff" * 250, "ж".encode() * 125, b"a" * 250],
    ids=["no text", "long, and no text", "long", "long, of ASCII"],
)
def test_a_file_of_whatever_name_has_its_copy(machine: Machine, name: bytes) -> None:
    path = machine.write(os.fsdecode(name) + ".toml", GOOD)
    assert not machine.read().warnings
    path.write_text(BROKEN)
    machine.start()
    assert machine.bridges() == {"br0"}
    path.unlink()
    machine.read()
    assert not list((machine.cache / "files").iterdir())


def test_one_copy_that_cannot_be_written_does_not_hold_up_the_others(machine: Machine) -> None:
    for name in "abc":
        machine.write(f"{name}.toml", f"[bridge.of-{name}]\n")
    machine.read()
    files = machine.cache / "files"
    (there,) = files.glob("a.*")
    there.unlink()
    there.mkdir()
    for name in "abc":
        machine.write(f"{name}.toml", f"[bridge.of-{name}]\n[bridge.new-{name}]\n")
    (warning,) = machine.read().warnings
    assert warning.message == "last good versions cannot be kept: Is a directory"
    for name in "abc":
        machine.write(f"{name}.toml", BROKEN)
    machine.start()
    assert machine.bridges() == {"of-b", "new-b", "of-c", "new-c"}
    for name in "abc":
        machine.write(f"{name}.toml", GOOD.replace("br0", f"br-{name}"))
    there.rmdir()
    assert not machine.read().warnings
