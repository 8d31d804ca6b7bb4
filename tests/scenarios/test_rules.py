"""Policy rules in all that ip-rule(8) says of them, and several of one priority."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.host import Host

#: What is written, and the words of ``ip rule`` that it becomes; the family is IPv4.
RULES = {
    "a default route is suppressed": (
        'suppress_prefixlength = 0\ntable = "main"',
        "lookup main suppress_prefixlength 0",
    ),
    "a type without a table": ('from = "10.1.0.0/16"\ntype = "prohibit"', "from 10.1.0.0/16 prohibit"),
    "black hole": ('type = "blackhole"\nto = "10.2.0.0/16"', "from all to 10.2.0.0/16 blackhole"),
    "ports": ('ipproto = "tcp"\ndport = 443\nsport = "1000-2000"\ntable = 7', "ipproto tcp sport 1000-2000 dport 443"),
    "a number of a protocol": ("ipproto = 89\ntable = 7", "ipproto ospf lookup 7"),
    "not": ("not = true\nfwmark = 51820\ntable = 51820", "not from all fwmark 0xca6c lookup 51820"),
}


def rules(host: Host, priority: int = 100, family: str = "-4") -> list[str]:
    """The rules of one priority, as iproute2 shows them."""
    lines = host.run("ip", family, "rule", "show", "priority", str(priority)).splitlines()
    return [" ".join(line.split()[1:]) for line in lines]


def shown(host: Host, text: str) -> None:
    host.until(lambda: any(text in line for line in rules(host)), f"there is a rule {text}")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_created_healed_shown_as_equal_and_removed(host: Host, name: str) -> None:
    written, text = RULES[name]
    host.write("lab.toml", f"[[rule]]\npriority = 100\n{written}\n")
    host.daemon()
    shown(host, text)
    assert "in sync" in host.netd("diff").text
    host.run("ip", "rule", "del", "priority", "100")
    shown(host, text)
    host.write("lab.toml", "")
    host.netd("reload")
    assert not rules(host)


SEVERAL = """
[[rule]]
priority = 100
from = "10.1.0.0/16"
table = 7

[[rule]]
priority = 100
from = "10.2.0.0/16"
table = 8
"""


def objects(host: Host) -> dict[str, Any]:
    return {each["object"]: each["state"] for each in host.status()["objects"]}


def test_several_rules_of_one_priority_are_kept_side_by_side(host: Host) -> None:
    host.write("lab.toml", SEVERAL)
    host.daemon()
    both = ["from 10.1.0.0/16 lookup 7 proto 110", "from 10.2.0.0/16 lookup 8 proto 110"]

    def there() -> bool:
        return sorted(line.replace("proto netd", "proto 110") for line in rules(host)) == both

    host.until(there, "both are there")
    assert set(objects(host)) == {"rule/ip/100", "rule/ip/100/from=10.2.0.0-16,table=8"}
    for _ in range(2):
        host.run("ip", "rule", "del", "priority", "100")
        host.until(there, "both are there again")
    host.converged()
    assert "in sync" in host.netd("diff").text


def test_the_first_of_several_rules_goes_and_a_new_one_comes_before_the_others_without_a_gap(host: Host) -> None:
    host.write("lab.toml", SEVERAL)
    host.daemon()
    host.until(lambda: len(rules(host)) == 2, "both are there")
    second = SEVERAL.partition("table = 7\n")[2]
    watching = host.start("ip", "monitor", "rule")
    host.write("lab.toml", second)
    host.netd("reload")
    host.until(lambda: [line for line in rules(host) if "lookup 8" in line] and len(rules(host)) == 1, "one is left")
    assert objects(host) == {"rule/ip/100": "ok"}
    host.write("lab.toml", '[[rule]]\npriority = 100\nfrom = "10.9.0.0/16"\ntable = 9\n' + second)
    host.netd("reload")
    host.until(lambda: len(rules(host)) == 2, "two are there")
    host.converged()
    assert not [line for line in watching.text().splitlines() if "Deleted" in line and "lookup 8" in line]
    host.write("lab.toml", "")
    host.netd("reload")
    assert not rules(host)


def test_rules_of_one_priority_in_two_files_are_no_clash(host: Host) -> None:
    first, second = SEVERAL.strip().split("\n\n")
    host.write("a.toml", first)
    host.write("b.toml", second)
    host.apply()
    assert len(rules(host)) == 2
    host.remove("a.toml")
    host.apply()
    assert rules(host)[0].startswith("from 10.2.0.0/16 lookup 8")
    host.netd("down")
    assert not rules(host)
