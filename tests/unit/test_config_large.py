"""Large and hostile files, with thousands of mistakes each, are read in a time that grows with their size alone."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from netd.config import ConfigDirectory, load
from netd.config.parse.parser import MOST_PROBLEMS, parse

N = 8000
#: Work that grew with the square of N would take minutes, and the run would be ended.
FILES = {
    "unknown tables": "".join(f"k{n} = 1\n" for n in range(N)),
    "unknown keys": "[bridge.a]\n" + "".join(f"k{n} = 1\n" for n in range(N)),
    "wrong types": "".join(f'[bridge.b{n}]\nmtu = "x"\n' for n in range(N)),
    "an address many times": "[bridge.b]\naddresses = [" + '"10.0.0.1/24",' * N + "]",
    "links of one name": "".join(f'[veth.v{n}]\npeer = {{ name = "p" }}\n' for n in range(N)),
    "links that hang on themselves": "".join(f'[vxlan.v{n}]\nvni = {n + 1}\ndev = "v{n}"\n' for n in range(N)),
    "links in one large circle": "".join(f'[vxlan.v{n}]\nvni = {n + 1}\ndev = "v{(n + 1) % N}"\n' for n in range(N)),
    "ports that overlap": "".join(f'[[nat.dnat]]\nport = "1-{n + 1}"\nto = "10.0.0.1"\n' for n in range(N)),
    "wrong names": "".join(f'[namespace."a/{n}".bridge."b/{n}"]\nmtu = 1\n' for n in range(N)),
    "a VNI many times": "".join(f"[vxlan.v{n}]\nvni = 1\n" for n in range(N)),
    "an IPv6 address many times": "[bridge.b]\naddresses = [" + ",".join(f'"fd::1/{n % 128}"' for n in range(N)) + "]",
    "ports of ports": "".join(f'[veth.v{n}]\nmaster = "v{n + 1}"\npeer = {{ name = "p{n}" }}\n' for n in range(N)),
    "a hop many times": '[[route]]\nto = "fd::/64"\nnexthops = [' + '{ via = "fd::1" },' * N + "]\n",
    "no tables": "[bridge]\n" + "".join(f"b{n} = 1\n" for n in range(N)),
    "hosts of wrong names": "".join(f'[host."a {n}"]\n' for n in range(N)),
    "a MAC behind two": "[vxlan.a]\nvni = 1\nfdb = ["
    + "".join(f'{{ mac = "02:00:00:00:{n >> 8:02x}:{n & 255:02x}", dst = "10.0.0.1" }},' for n in range(N))
    + '{ mac = "02:00:00:00:00:00", dst = "10.0.0.2" }]',
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.thorough
def test_a_file_full_of_errors_is_refused_quickly_with_the_first_of_them(what: str) -> None:
    parsed = parse("x.toml", FILES[what].encode())
    assert 1 <= len(parsed.problems) <= MOST_PROBLEMS + 1
    if len(parsed.problems) > MOST_PROBLEMS:
        assert str(parsed.problems[-1]) == f"x.toml: has more errors than these {MOST_PROBLEMS}"


def test_a_large_valid_file_is_taken_whole() -> None:
    text = "".join(f'[namespace.n{n}.veth.eth0]\npeer = {{ name = "p{n}" }}\n' for n in range(N))
    parsed = parse("x.toml", text.encode())
    assert not parsed.problems and len(parsed.objects) == 2 * N


def test_commands_do_not_look_for_garbage_while_they_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(ConfigDirectory, "read", lambda *_, **__: looked.append(gc.isenabled()))
    load(str(tmp_path), None, (), trusted=False, wait=0.0, write=False)
    assert looked == [False] and gc.isenabled()


def test_what_loses_does_not_count_against_what_follows() -> None:
    text = '[[nat.dnat]]\nport = "{0}"\nto = "10.0.0.{1}"\n'
    together = "".join(text.format(*each) for each in (("1-10", 1), ("5-20", 2), ("15-30", 3)))
    (mistake,) = parse("x.toml", together.encode()).problems
    assert "port 5-20 overlaps 1-10" in str(mistake)
