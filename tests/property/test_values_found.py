"""What netd found before its first write is put back, wherever it was killed: on the fake kernel, each step in turn."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.world import Killed, World, world

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


def values(each: World, wanted: dict[tuple[str, str], str]) -> dict[tuple[str, str], str | None]:
    return {(netns, path): each.machine.space(netns).sysctls.get(path) for netns, path in wanted}


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
            each.hand.step = killed_after(step)
            try:
                each.take(text)
                killed = False
            except Killed:
                killed = True
            each.hand.step = lambda what: None
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
