"""``netd check``: what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from netd.cli.main import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "etc"
    made.mkdir(mode=0o755)
    return made


def check(folder: Path, *arguments: str) -> int:
    cache, state = folder.parent / "cache", folder.parent / "state"
    status = main(["check", *arguments, f"--config-dir={folder}", f"--cache-dir={cache}", f"--state-dir={state}"])
    assert not cache.exists() and not state.exists()
    return status


def test_valid_files_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.toml").write_text('[bridge.br0]\naddresses = ["10.0.0.1/24"]\n')
    assert check(folder, "--strict") == 0
    assert capsys.readouterr() == ("1 file, 2 objects: valid\n", "")


def test_errors_of_all_files_are_printed_and_fail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.toml").write_text("[bridge.a]\nmtu = 1\n")
    (folder / "b.toml").write_text("[bridge.b]\nmtu = true\nup = 1\n")
    assert check(folder) == 1
    out, err = capsys.readouterr()
    assert out == "2 files, 0 objects: 3 errors\n"
    assert [line.split(":")[1] for line in err.splitlines() if line.startswith(str(folder))] == ["2", "2", "3"]


def test_warnings_fail_only_where_it_is_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.toml").write_text('[[nat.masquerade]]\nsource = "10.0.0.0/8"\n')
    assert check(folder) == 0
    assert check(folder, "--strict") == 1
    assert "1 file, 1 object: 1 warning" in capsys.readouterr().out


def test_a_path_narrows_what_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.toml").write_text("[bridge.br0]\n")
    (folder / "b.toml").write_text("[bridge.br0]\nmtu = 1400\n")
    (folder / "c.toml").write_text("[bridge.c]\nmtu = 1\n")
    assert check(folder, str(folder / "a.toml")) == 1  # b.toml gives way to it
    assert check(folder, str(folder / "c.toml")) == 1
    assert capsys.readouterr().out == "1 file, 1 object: 1 error\n1 file, 0 objects: 1 error\n"
    (folder / "b.toml").unlink()
    assert check(folder, str(folder / "a.toml")) == 0


def test_a_path_that_is_empty_is_not_the_directory_that_one_is_in(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.toml").write_text("[bridge.a]\n")
    monkeypatch.chdir(folder)
    assert check(folder.parent, "") == 1
    text = "netd: a path cannot be empty: it would be the directory that netd is started in\n"
    assert capsys.readouterr() == ("", text)
    for option in ("--config-dir", "--state-dir", "--cache-dir"):
        with pytest.raises(SystemExit, match="1"):
            main(["check", option, ""])
        assert f"argument {option}: the path of a directory cannot be empty" in capsys.readouterr().err
    monkeypatch.setenv("NETD_CONFIG_DIR", str(folder))
    monkeypatch.setenv("NETD_STATE_DIR", "")
    assert main(["check"]) == 0


def test_names_of_files_cannot_forge_lines_or_move_the_cursor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.toml").write_text("[bridge.br0]\n")
    (folder / "b\nfake: 1\x1b[2J.toml").write_text("[bridge.br0]\n")
    assert check(folder) == 1
    assert check(folder, str(folder / "gone\n\x1b.toml")) == 1
    assert check(folder, str(folder / "gone\n\x1b")) == 1
    assert check(folder / "gone\n\x1b") == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said and "b\\nfake: 1\\x1b[2J.toml:1:1: bridge.br0: declared at" in said
    assert all(line.startswith((str(folder), "netd: ", " ")) for line in said.splitlines())


def test_a_value_of_megabytes_is_not_told_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * (1 << 20)
    wrong = "".join(f"k{number} = 1\n" for number in range(500))
    (folder / "a.toml").write_text(f'[bridge.b]\nmac = "{long}"\nmtu = "{long}"\n{long} = 1\n[bridge.{long}]\n{wrong}')
    assert check(folder) == 1
    heads = [line for line in capsys.readouterr().err.splitlines() if line.startswith(str(folder))]
    assert len(heads) == 504 and max(map(len, heads)) < 1000
    assert heads[0].endswith("' is not a MAC address, such as 02:00:00:00:00:01")


def test_a_path_or_directory_that_is_not_there_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, str(folder / "gone.toml")) == 1
    assert check(folder / "gone") == 1
    assert "there is no such file" in (said := capsys.readouterr().err) and "cannot be read" in said


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("docker:-web", "'-web' is not the name of a container: letters and digits, then also '_', '.', '-'"),
        ("podman:", "'' is not the name of a container: letters and digits, then also '_', '.', '-'"),
        ("lxc:web", '\'lxc:web\' is neither an absolute path nor "pid:N", "docker:NAME" or "podman:NAME"'),
    ],
)
def test_a_container_s_name_is_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str], written: str, told: str
) -> None:
    (folder / "a.toml").write_text(f'[namespace.web]\nattach = "{written}"\n')
    assert check(folder) == 1
    assert capsys.readouterr().err == (
        f'{folder}/a.toml:2:1: namespace.web: attach: {told}\n    2 | attach = "{written}"\n      | ^^^^^^\n'
    )
    (folder / "a.toml").write_text('[namespace.a]\nattach = "docker:web_1.x-y"\n[namespace.b]\nattach = "podman:0"\n')
    assert check(folder, "--strict") == 0
