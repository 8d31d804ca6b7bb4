"""The kernel's own policy rules: without them nothing is routed."""

from __future__ import annotations

import pytest

from tests.support.host import Host

LAB = """
[namespace.a.veth.eth0]
addresses = ["10.0.0.1/24", "fd00::1/64"]
nodad = true
peer = { name = "to-a", addresses = ["10.0.0.2/24", "fd00::2/64"], nodad = true }

[[namespace.a.rule]]
priority = 100
from = "10.9.0.0/16"
table = 100

[[namespace.a.rule]]
priority = 100
from = "fd09::/64"
table = 100
"""


def rules(host: Host, ns: str = "") -> list[str]:
    return [line for family in ("-4", "-6") for line in host.run("ip", family, "rule", ns=ns).splitlines()]


@pytest.mark.parametrize("harm", ["ip rule flush; ip -6 rule flush", "ip rule del pref 0", "ip -6 rule del pref 32766"])
def test_in_a_namespace_of_netds_own_they_are_kept(host: Host, harm: str) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    before = rules(host, "a")
    for _ in range(2):
        with daemon.asleep():
            host.sh(harm, ns="a")
        host.until(lambda: sorted(rules(host, "a")) == sorted(before), "the rules are back")
        host.ping("10.0.0.2", "fd00::2", ns="a")


def test_on_the_host_their_loss_is_a_warning(host: Host) -> None:
    host.write("lab.toml", '[[rule]]\npriority = 100\nfrom = "10.9.0.0/16"\ntable = 100\n')
    host.daemon()
    host.run("ip", "rule", "del", "pref", "32766")
    host.until(lambda: "32766" in host.netd("status", check=None).text, "it is said")
    assert not [line for line in rules(host) if line.startswith("32766:\tfrom all") and "inet6" in line]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_declared_rule_that_is_one_of_them_does_not_take_it_away(host: Host, family: str) -> None:
    rule = f'[[namespace.a.rule]]\npriority = 32766\ntable = "main"\nfamily = "{family}"\n'
    host.write("lab.toml", "[namespace.a]\n" + rule)
    daemon = host.daemon()
    with daemon.asleep():
        host.sh("ip rule flush; ip -6 rule flush", ns="a")
    number = "-4" if family == "ipv4" else "-6"

    def main() -> bool:
        return "lookup main" in host.run("ip", number, "rule", ns="a")

    host.until(main, "the declared one is back")
    host.write("lab.toml", "[namespace.a]\n")
    host.netd("reload")
    assert main()
