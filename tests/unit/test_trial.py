"""Files that are tried: whatever moment netd is killed at, the directory is as before or as wanted, never between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netd.config import trial
from tests.support.picture_of_files import picture

#: The calls that change or sync a directory: netd may end before each of them.
CALLS = ("mkdir", "link", "rename", "unlink", "fsync", "rmdir")
NEW = {"a.toml": b"new a\n", "b.toml": b"new b\n", "c.toml": b"new c\n"}


class Killed(BaseException):
    """SIGKILL, as far as one process can have it: nothing that would clean up gets to do so."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Files of different modes, one of them a link; c.toml is new."""
    made = tmp_path / "netd"
    (made / "below").mkdir(parents=True)
    (made / "a.toml").write_bytes(b"old a\n")
    (made / "a.toml").chmod(0o640)
    (made / "below" / "b").write_bytes(b"old b\n")
    (made / "b.toml").symlink_to("below/b")
    (made / "d.toml").write_bytes(b"d\n")
    return made


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: int, links: bool = True) -> Iterator[list[int]]:
    """From the call number ``step`` on every call fails, as after the end of the process. Yields the count."""
    count = [0]
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS}

    def counted(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] > step:
                raise Killed
            if name == "link" and not links:
                raise OSError(1, "no links here")
            return real[name](*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for name in CALLS:
            patched.setattr(os, name, counted(name))
        yield count


def attempt(directory: Path, end: Callable[[trial.Record], object]) -> None:
    """A whole try."""
    stage = trial.stage_files(str(directory), NEW)
    end(trial.begin(str(directory), stage, sorted(NEW)))


def next_start(directory: Path) -> None:
    """What the next netd does first."""
    for record in trial.unfinished(str(directory)):
        trial.put_back(record)
    trial.clean(str(directory))


def wanted(directory: Path) -> dict[str, tuple[object, ...]]:
    """The directory once the change is kept."""
    other = directory.parent / "kept"
    shutil.copytree(directory, other, symlinks=True)
    attempt(other, trial.discard)
    return picture(other)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("ends", ["kept", "put back"])
def test_after_a_kill_at_any_step_the_next_start_finds_one_of_the_two_directories(
    directory: Path, monkeypatch: pytest.MonkeyPatch, ends: str, links: bool
) -> None:
    before, after = picture(directory), wanted(directory)
    assert before != after
    outcomes, step = set(), 0
    while True:
        work = directory.parent / f"step{step}"
        shutil.copytree(directory, work, symlinks=True)
        try:
            with killed_at(monkeypatch, step, links):
                attempt(work, trial.discard if ends == "kept" else trial.put_back)
            done = True
        except Killed:
            done = False
        next_start(work)
        found = picture(work)
        assert found in ((before, after) if ends == "kept" else (before,)), step
        outcomes.add(found == after)
        step += 1
        if done:
            break
    assert step > 20 and outcomes == ({True, False} if ends == "kept" else {False})


def test_after_a_kill_while_it_is_put_back_after_a_kill_it_is_put_back_too(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, step, killed = picture(directory), 0, True
    while killed:
        work = directory.parent / f"again{step}"
        shutil.copytree(directory, work, symlinks=True)
        stage = trial.stage_files(str(work), NEW)
        trial.begin(str(work), stage, sorted(NEW))
        killed = False
        try:
            with killed_at(monkeypatch, step):
                next_start(work)
        except Killed:
            killed = True
        next_start(work)
        assert picture(work) == before, step
        step += 1


def test_a_failure_at_any_step_changes_nothing_and_says_so(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = picture(directory)
    for step in range(40):
        count, real = [0], {name: getattr(os, name) for name in ("mkdir", "rename", "fsync")}

        def call(name: str, *args: Any, count: list[int] = count, real: dict[str, Any] = real, step: int = step) -> Any:
            count[0] += 1
            if count[0] == step + 1:
                raise OSError(28, "No space left on device")
            return real[name](*args)

        with monkeypatch.context() as patched:
            for name in real:
                patched.setattr(os, name, lambda *args, name=name, call=call: call(name, *args))
            try:
                stage = trial.stage_files(str(directory), NEW)
                record = trial.begin(str(directory), stage, sorted(NEW))
            except trial.TrialError as error:
                assert "No space left" in str(error)
                trial.clean(str(directory))
                assert picture(directory) == before, step
                continue
        trial.put_back(record)
        assert picture(directory) == before
        break
    assert step > 5


def test_an_edit_by_somebody_else_meanwhile_is_not_overwritten(directory: Path) -> None:
    record = trial.begin(str(directory), trial.stage_files(str(directory), NEW), sorted(NEW))
    (directory / "a.toml").write_bytes(b"somebody's\n")
    (directory / "c.toml").write_bytes(b"somebody's too\n")
    said = trial.put_back(record)
    assert (directory / "a.toml").read_bytes() == b"somebody's\n"
    assert (directory / "a.toml.former").read_bytes() == b"old a\n"
    assert (directory / "c.toml").read_bytes() == b"somebody's too\n"
    assert os.readlink(directory / "b.toml") == "below/b"
    assert len(said) == 2 and "a.toml was changed by someone else meanwhile" in said[0] and "a.toml.former" in said[0]


def test_a_file_that_somebody_deleted_meanwhile_comes_back(directory: Path) -> None:
    before = picture(directory)
    record = trial.begin(str(directory), trial.stage_files(str(directory), NEW), sorted(NEW))
    (directory / "a.toml").unlink()
    assert trial.put_back(record) == [] and picture(directory) == before
