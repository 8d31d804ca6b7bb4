"""What netd found before its first write is put back, wherever it was killed: on the fake kernel, each step in turn."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from netd.errors import kernel_error
from netd.model import operations as do
from tests.support.snapshot import differences
from tests.support.world import Killed, World, world

#: {name: (what stood before, what netd is killed over, what is left of it, {sysctl: value then})}.
CASES: dict[str, tuple[str, str, str, dict[tuple[str, str], str]]] = {
    "in a namespace made with it": (
        "",
        "[namespace.a.sysctl]\nnet.ipv4.ip_forward = 1\nnet.ipv4.ip_default_ttl = 7\n",
        "[namespace.a]\n",
        {("a", "net/ipv4/ip_forward"): "0", ("a", "net/ipv4/ip_default_ttl"): "64"},
    ),
    "one that another one changes, in a namespace made with both": (
        "",
        "[namespace.a.sysctl]\nnet.ipv4.ip_forward = 1\nnet.ipv4.conf.default.forwarding = 0\n",
        "[namespace.a]\n",
        {("a", "net/ipv4/ip_forward"): "0", ("a", "net/ipv4/conf/default/forwarding"): "0"},
    ),
    "on the host": (
        "",
        "[sysctl]\nnet.ipv4.ip_default_ttl = 7\nnet.ipv4.conf.eth0.proxy_arp = 1\n",
        "[namespace.a]\n",
        {("", "net/ipv4/ip_default_ttl"): "64", ("", "net/ipv4/conf/eth0/proxy_arp"): "0"},
    ),
}


def killed_after(step: int) -> Callable[[str], None]:
    """A hand that ends netd after so many steps."""
    left = step

    def counted(what: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Killed

    return counted


def is_killed(each: World, step: int, what: Callable[[], None]) -> bool:
    """Whether ``what`` ended netd, after so many steps."""
    each.hand.step = killed_after(step)
    try:
        what()
    except Killed:
        return True
    finally:
        each.hand.step = lambda what: None
    return False


def values(each: World, wanted: dict[tuple[str, str], str]) -> dict[tuple[str, str], str | None]:
    return {(netns, path): each.machine.space(netns).sysctls.get(path) for netns, path in wanted}


#: Both keys go by one edit: the link is to have what "default" will say, not what it says.
INHERITED = (
    "",
    "[bridge.br0]\n[sysctl]\nnet.ipv4.conf.default.rp_filter = 1\nnet.ipv4.conf.br0.rp_filter = 2\n",
    "[bridge.br0]\n",
    {("", "net/ipv4/conf/default/rp_filter"): "0", ("", "net/ipv4/conf/br0/rp_filter"): "0"},
)


@pytest.mark.parametrize("case", [*CASES, "on a link that netd made"])
def test_a_value_is_put_back_although_netd_is_killed_over_it(case: str) -> None:
    before, text, left, wanted = (CASES | {"on a link that netd made": INHERITED})[case]
    wrong: list[str] = []
    step, killed = 0, True
    while killed:
        step += 1
        with world() as each:
            for earlier in (before, text):
                each.take(earlier)
                each.settle()
            assert values(each, wanted) != wanted
            killed = is_killed(each, step, lambda: each.take(left))
            if killed:
                each.restart()
            each.settle()
            found = values(each, wanted)
            if found != wanted:
                wrong.append(f"killed after step {step}: {found}")
    assert step > 2
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("then", ["at once", "after it was made whole again"])
@pytest.mark.parametrize("case", CASES)
def test_a_value_is_put_back_after_a_kill_at_any_step(case: str, then: str) -> None:
    before, text, left, wanted = CASES[case]
    wrong: list[str] = []
    step, killed = 0, True
    while killed:
        step += 1
        with world() as each:
            each.take(before)
            each.settle()
            killed = is_killed(each, step, lambda: each.take(text))
            if then == "at once":
                each.text = left
            each.restart()
            each.settle()
            each.take(left)
            each.settle()
            found = values(each, wanted)
            if found != wanted:
                wrong.append(f"killed after step {step}: {found}")
    assert step > 4
    assert not wrong, "\n".join(wrong)


def test_what_was_found_is_put_back_where_a_new_value_was_refused_and_the_old_one_is_declared_again() -> None:
    old, new = (f"[sysctl]\nnet.ipv4.ip_default_ttl = {value}\n" for value in (77, 78))
    with world() as each:
        each.take(old)
        each.settle()
        each.hand.before = lambda operation: kernel_error(errno.EBUSY, "refused")
        each.take(new)
        each.take(old)
        each.hand.before = lambda operation: None
        each.settle()
        each.down()
        assert not differences(each.look(), each.foreign)


PAIR = '[namespace.a]\n[namespace.b]\n[veth.v0]\npeer = {{ name = "v1", namespace = "{}" }}\n'
TUNNEL = '[vxlan.vx0]\nvni = {}\nlocal = "10.230.4.1"\nremote = "10.230.4.2"\n'


@pytest.mark.parametrize(
    ("link", "text", "other"),
    [("v0", PAIR.format("a"), PAIR.format("b")), ("vx0", TUNNEL.format(5), TUNNEL.format(6))],
    ids=["veth", "vxlan"],
)
def test_what_others_put_on_a_link_outlasts_a_kill_while_it_is_made_again(link: str, text: str, other: str) -> None:
    theirs = ("10.92.0.9/24", "fd92::9/64")
    wrong: list[str] = []
    step, killed = 0, True
    while killed:
        step += 1
        with world() as each:
            each.take(text)
            each.settle()
            for address in theirs:
                assert each.someone_does(do.PutAddress("", link, address, nodad=True, protocol=0)) == 0
            route = do.CreateRoute("", 2, 254, "10.93.0.0/24", 0, hops=(do.Hop("10.92.0.77"),), protocol=3)
            assert each.someone_does(route) == 0
            each.settle()
            killed = is_killed(each, step, lambda: each.take(other))
            if killed:
                each.text = other
                each.restart()
            each.settle()
            now = each.look()[""]
            left = [one[1] for one in now["addresses"] if one[0] == link and one[2] == 0]
            routes = [one for one in now["routes"] if one[1] == "10.93.0.0/24"]
            if sorted(left) != sorted(theirs) or len(routes) != 1 or each.states() or each.differing():
                wrong.append(f"killed after step {step}: {left} {routes} {each.states()} {each.differing()}")
            each.down()
            wrong += differences(each.look(), each.foreign)
    assert step > 4
    assert not wrong, "\n".join(wrong)
