"""Address translation: out, and in; each rule is proven by what a server says of its client."""

from __future__ import annotations

from tests.support.host import Host

#: The host "a" of the pair: a lab behind eth0, which the other host has no route to.
LAB = """
[bridge.br0]
addresses = ["192.168.1.254/24", "fd01::254/64"]
nodad = true

[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1

[namespace.web.veth.eth0]
addresses = ["192.168.1.1/24", "fd01::1/64"]
gateway = ["192.168.1.254", "fd01::254"]
nodad = true
peer = { name = "to-web", master = "br0" }

[namespace.client.veth.eth0]
addresses = ["192.168.1.2/24", "fd01::2/64"]
gateway = ["192.168.1.254", "fd01::254"]
nodad = true
peer = { name = "to-client", master = "br0" }
"""

OUT = """
[[nat.masquerade]]
source = "192.168.1.0/24"
out = "eth0"

[[nat.masquerade]]
source = "fd01::/64"
out = "eth0"
"""

IN = """
[[nat.dnat]]
protocol = "tcp"
port = 8083
to = "192.168.1.1:80"

[[nat.dnat]]
port = 8083
to = "[fd01::1]:80"

[[nat.dnat]]
protocol = "udp"
port = 5353
to = "192.168.1.1"
"""


def rules(host: Host, ns: str = "") -> int:
    """How many rules stand in netd's table."""
    return sum(1 for each in host.nft(ns) if each.get("rule", {}).get("table") == "netd")


def test_masquerade_hides_the_lab_behind_the_host(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write("lab.toml", LAB)
    a.apply()
    b.serve("far", 80)
    assert a.asks("10.230.4.2", 80, ns="client") == [], "the other host knows no way back"
    a.write("nat.toml", OUT)
    a.apply()
    assert {each["table"]["name"] for each in a.nft() if "table" in each} == {"netd"}
    a.ping("10.230.4.2", "fd04::2", ns="client")
    assert a.ask("10.230.4.2", 80, ns="client") == ["far", "10.230.4.1", "80"]
    assert a.ask("fd04::2", 80, ns="client") == ["far", "fd04::1", "80"]


def test_masquerade_by_the_link_alone_covers_both_families(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write("lab.toml", LAB + '[[nat.masquerade]]\nout = "eth0"\n')
    a.apply()
    b.serve("far", 80)
    assert a.ask("10.230.4.2", 80, ns="client") == ["far", "10.230.4.1", "80"]
    assert a.ask("fd04::2", 80, ns="client") == ["far", "fd04::1", "80"]
    a.serve("near", 80, ns="web")
    assert a.ask("192.168.1.1", 80, ns="client") == ["near", "192.168.1.2", "80"], "inside nothing is translated"


def test_masquerade_by_the_source_alone(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write("lab.toml", LAB + '[[nat.masquerade]]\nsource = "192.168.1.2/32"\n')
    a.apply()
    b.serve("far", 80)
    assert a.ask("10.230.4.2", 80, ns="client") == ["far", "10.230.4.1", "80"]
    assert a.asks("10.230.4.2", 80, ns="web") == []


def test_snat_gives_the_address_that_is_written(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.address("eth0", "10.230.4.77/24", "fd04::77/64")
    a.write(
        "lab.toml",
        LAB
        + """
        [[nat.snat]]
        source = "192.168.1.0/24"
        out = "eth0"
        to = "10.230.4.77"

        [[nat.snat]]
        source = "fd01::/64"
        out = "eth0"
        to = "fd04::77"
        """,
    )
    a.apply()
    b.serve("far", 80)
    assert a.ask("10.230.4.2", 80, ns="client") == ["far", "10.230.4.77", "80"]
    assert a.ask("fd04::2", 80, ns="client") == ["far", "fd04::77", "80"]


def test_a_port_leads_in_from_another_host(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write("lab.toml", LAB + IN)
    a.apply()
    a.serve("web", 80, 5353, ns="web")
    assert b.ask("10.230.4.1", 8083) == ["web", "10.230.4.2", "80"]
    assert b.ask("fd04::1", 8083) == ["web", "fd04::2", "80"]
    assert b.ask("10.230.4.1", 5353, "udp") == ["web", "10.230.4.2", "5353"]
    assert b.asks("10.230.4.1", 5353, "tcp") == [], "only UDP was asked for"


def test_a_port_leads_in_from_the_machine_itself(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    a.write("lab.toml", LAB + IN)
    a.apply()
    a.serve("web", 80, 5353, ns="web")
    assert a.ask("10.230.4.1", 8083)[::2] == ["web", "80"]
    assert a.ask("fd04::1", 8083)[::2] == ["web", "80"]
    assert a.ask("192.168.1.254", 8083)[::2] == ["web", "80"]
    assert a.ask("10.230.4.1", 5353, "udp")[::2] == ["web", "5353"]


def test_loopback_keeps_its_ports(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    a.write("lab.toml", LAB + IN)
    a.apply()
    a.serve("local", 8083)
    assert a.ask("127.0.0.1", 8083) == ["local", "127.0.0.1", "8083"]
    assert a.ask("::1", 8083) == ["local", "::1", "8083"]


def test_a_client_in_the_targets_own_subnet_gets_through(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    a.write("lab.toml", LAB + IN)
    a.apply()
    a.serve("web", 80, 5353, ns="web")
    assert a.ask("10.230.4.1", 8083, ns="client") == ["web", "192.168.1.254", "80"]
    assert a.ask("fd04::1", 8083, ns="client") == ["web", "fd01::254", "80"]
    assert a.ask("10.230.4.1", 5353, "udp", ns="client") == ["web", "192.168.1.254", "5353"]


def test_a_client_in_the_targets_own_subnet_gets_through_where_bridges_do_not_show_the_firewall(
    pair: tuple[Host, Host],
) -> None:
    a, _ = pair
    for key in ("iptables", "ip6tables"):
        a.sh(f"test ! -e /proc/sys/net/bridge/bridge-nf-call-{key} || sysctl -w net.bridge.bridge-nf-call-{key}=0")
    a.write("lab.toml", LAB + IN)
    a.apply()
    a.serve("web", 80, ns="web")
    for ns in ("client", "web"):
        assert a.ask("10.230.4.1", 8083, ns=ns) == ["web", "192.168.1.254", "80"]
        assert a.ask("fd04::1", 8083, ns=ns) == ["web", "fd01::254", "80"]


def test_the_target_reaches_itself_through_a_bridge_that_shows_the_firewall(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    for key in ("iptables", "ip6tables"):
        a.sh(f"test ! -e /proc/sys/net/bridge/bridge-nf-call-{key} || sysctl -w net.bridge.bridge-nf-call-{key}=1")
    port = 'name = "to-web", master = "br0"'
    a.write("lab.toml", LAB.replace(port, port + ", bridge_port = { hairpin = true }") + IN)
    a.apply()
    a.serve("web", 80, ns="web")
    for ns in ("client", "web"):
        assert a.ask("10.230.4.1", 8083, ns=ns)[::2] == ["web", "80"]
        assert a.ask("fd04::1", 8083, ns=ns)[::2] == ["web", "80"]


def test_a_port_range_keeps_or_moves_each_port(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write(
        "lab.toml",
        LAB
        + """
        [[nat.dnat]]
        port = "8000-8010"
        to = "192.168.1.1"

        [[nat.dnat]]
        port = "9000-9010"
        to = "[fd01::1]:7000-7010"

        [[nat.dnat]]
        protocol = "udp"
        port = "9000-9010"
        to = "192.168.1.1:7000-7010"
        """,
    )
    a.apply()
    a.serve("web", 8000, 8007, 8010, 8011, 7000, 7007, 7010, ns="web")
    for port in (8000, 8007, 8010):
        assert b.ask("10.230.4.1", port) == ["web", "10.230.4.2", str(port)]
    for port in (7000, 7007, 7010):
        assert b.ask("fd04::1", port + 2000) == ["web", "fd04::2", str(port)]
        assert b.ask("10.230.4.1", port + 2000, "udp") == ["web", "10.230.4.2", str(port)]
    assert b.asks("10.230.4.1", 8011) == []


def test_a_destination_and_a_link_narrow_what_is_led_in(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.address("eth0", "10.230.4.77/24")
    a.write(
        "lab.toml",
        LAB
        + """
        [[nat.dnat]]
        port = 8083
        destination = "10.230.4.77"
        to = "192.168.1.1:80"

        [[nat.dnat]]
        port = 8084
        in = "eth0"
        to = "192.168.1.1:80"
        """,
    )
    a.apply()
    a.serve("web", 80, ns="web")
    assert b.ask("10.230.4.77", 8083) == ["web", "10.230.4.2", "80"]
    assert a.ask("10.230.4.77", 8083)[::2] == ["web", "80"]
    assert b.asks("10.230.4.1", 8083) == []
    assert b.ask("10.230.4.1", 8084) == ["web", "10.230.4.2", "80"]
    assert a.asks("10.230.4.1", 8084, ns="client") == [], "the client comes in by another link"


def test_entries_match_in_the_order_in_which_they_are_written(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.address("eth0", "10.230.4.77/24", "10.230.4.78/24")
    first = '[[nat.snat]]\nsource = "192.168.1.2/32"\nto = "10.230.4.77"\n'
    second = '[[nat.snat]]\nsource = "192.168.1.0/24"\nto = "10.230.4.78"\n'
    b.serve("far", 80)
    a.write("lab.toml", LAB + first + second)
    a.apply()
    assert a.ask("10.230.4.2", 80, ns="client")[1] == "10.230.4.77"
    a.write("lab.toml", LAB + second + first)
    a.apply()
    assert a.ask("10.230.4.2", 80, ns="client")[1] == "10.230.4.78"


def test_snat_and_masquerade_match_in_the_order_in_which_they_are_mixed(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.address("eth0", "10.230.4.77/24")
    first = '[[nat.masquerade]]\nsource = "192.168.1.2/32"\nout = "eth0"\n'
    second = '[[nat.snat]]\nsource = "192.168.1.0/24"\nout = "eth0"\nto = "10.230.4.77"\n'
    b.serve("far", 80)
    for text, seen in ((first + second, "10.230.4.1"), (second + first, "10.230.4.77")):
        a.write("lab.toml", LAB + text)
        a.apply()
        assert a.ask("10.230.4.2", 80, ns="client")[1] == seen
        assert a.ask("10.230.4.2", 80, ns="web")[1] == "10.230.4.77"
        assert a.apply()["changes"] == []


def test_files_that_swap_their_names_swap_their_entries(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.address("eth0", "10.230.4.77/24", "10.230.4.78/24")
    b.serve("far", 80)
    a.write("lab.toml", LAB)
    a.write("x1.toml", '[[nat.snat]]\nsource = "192.168.1.2/32"\nto = "10.230.4.77"\n')
    a.write("x2.toml", '[[nat.masquerade]]\nsource = "192.168.1.0/24"\nout = "eth0"\n')
    a.daemon()
    assert a.ask("10.230.4.2", 80, ns="client")[1] == "10.230.4.77"
    a.sh("cd /etc/netd; mv x1.toml .x; mv x2.toml x1.toml; mv .x x2.toml")
    a.netd("reload")
    assert a.ask("10.230.4.2", 80, ns="client")[1] == "10.230.4.1"
    a.write("x0.toml", '[[nat.snat]]\nsource = "192.168.1.0/25"\nto = "10.230.4.78"\n')
    a.netd("reload")
    assert a.ask("10.230.4.2", 80, ns="client")[1] == "10.230.4.78"
    a.remove("x0.toml")
    a.netd("reload")
    assert a.ask("10.230.4.2", 80, ns="client")[1] == "10.230.4.1"


def test_taking_down_one_file_leaves_the_entries_of_the_others(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.address("eth0", "10.230.4.77/24", "10.230.4.78/24")
    a.write("lab.toml", LAB)
    for number, (source, last) in enumerate((("192.168.1.1/32", 77), ("192.168.1.2/32", 77), ("192.168.1.0/24", 78))):
        a.write(f"x{number}.toml", f'[[nat.snat]]\nsource = "{source}"\nto = "10.230.4.{last}"\n')
    a.apply()
    b.serve("far", 80)
    a.netd("down", "/etc/netd/x0.toml")
    assert rules(a) == 3, "two entries and the seal"
    assert a.ask("10.230.4.2", 80, ns="client")[1] == "10.230.4.77", "the order is as it was"
    assert a.ask("10.230.4.2", 80, ns="web")[1] == "10.230.4.78"
    (missing,) = a.netd("diff", "--json", check=2).json["changes"]
    assert missing["object"] == "nat/snat/ip/192.168.1.1/32,*"
    a.netd("down")
    assert rules(a) == 0


def test_applying_one_file_leaves_the_entries_of_a_file_that_is_gone(host: Host) -> None:
    host.write("a.toml", '[[nat.masquerade]]\nsource = "10.1.0.0/16"\n')
    host.write("b.toml", '[[nat.masquerade]]\nsource = "10.2.0.0/16"\n')
    host.apply()
    host.remove("a.toml")
    host.write("b.toml", '[[nat.masquerade]]\nsource = "10.3.0.0/16"\n')
    host.apply("/etc/netd/b.toml")
    listed = host.run("nft", "list", "table", "inet", "netd")
    assert "10.1.0.0/16" in listed and "10.2.0.0/16" not in listed and "10.3.0.0/16" in listed
    host.apply()
    assert "10.1.0.0/16" not in host.run("nft", "list", "table", "inet", "netd")


def test_a_router_namespace_translates_between_point_to_point_links(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [namespace.router.sysctl]
        net.ipv4.ip_forward = 1
        net.ipv6.conf.all.forwarding = 1

        [namespace.inside.veth.eth0]
        addresses = ["10.1.0.2/30", "fd01::2/64"]
        gateway = ["10.1.0.1", "fd01::1"]
        nodad = true
        peer = { name = "in0", namespace = "router", addresses = ["10.1.0.1/30", "fd01::1/64"], nodad = true }

        [namespace.outside.veth.eth0]
        addresses = ["10.2.0.2/30", "fd02::2/64"]
        nodad = true
        peer = { name = "out0", namespace = "router", addresses = ["10.2.0.1/30", "fd02::1/64"], nodad = true }

        [[namespace.router.nat.masquerade]]
        out = "out0"

        [[namespace.router.nat.dnat]]
        port = 8083
        to = "10.1.0.2:80"

        [[namespace.router.nat.dnat]]
        port = 8083
        to = "[fd01::2]:80"
        """,
    )
    host.apply()
    assert host.nft() == [], "the host itself has no rule"
    assert rules(host, "router") > 0
    host.serve("far", 80, ns="outside")
    assert host.ask("10.2.0.2", 80, ns="inside") == ["far", "10.2.0.1", "80"]
    assert host.ask("fd02::2", 80, ns="inside") == ["far", "fd02::1", "80"]
    host.serve("web", 80, ns="inside")
    assert host.ask("10.2.0.1", 8083, ns="outside") == ["web", "10.2.0.2", "80"]
    assert host.ask("fd02::1", 8083, ns="outside") == ["web", "fd02::2", "80"]
    assert host.ask("10.2.0.1", 8083, ns="router")[::2] == ["web", "80"]


def test_a_connection_survives_a_change_of_other_entries(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write("lab.toml", LAB + OUT)
    a.daemon()
    b.start("socat", "TCP-LISTEN:80,reuseaddr", "EXEC:cat")
    a.sh("mkfifo /run/say")
    talk = a.start("sh", "-c", "socat -t 60 - TCP:10.230.4.2:80,retry=50,interval=0.1 <> /run/say", ns="client")
    a.sh("echo before > /run/say")
    a.until(lambda: "before" in talk.text(), "the connection stands")
    a.write("nat.toml", IN)
    a.netd("reload")
    assert rules(a) > 2
    a.sh("echo after > /run/say")
    a.until(lambda: "after" in talk.text(), "the connection still stands")


def test_removing_the_entries_removes_the_table_and_leaves_other_tables(host: Host) -> None:
    host.sh("nft add table inet other; nft add chain inet other c; nft add rule inet other c counter")
    host.write("lab.toml", LAB + OUT + IN)
    host.apply()
    host.write("lab.toml", LAB)
    host.apply()
    assert {each["table"]["name"] for each in host.nft() if "table" in each} == {"other"}
    assert sum(1 for each in host.nft() if "rule" in each) == 1
