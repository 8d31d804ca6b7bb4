"""Public reports of comparable tools, tried on netd: what went wrong there must not go wrong here.

Each test names the report. Those in test_field_*.py are others.
"""

from __future__ import annotations

import pytest

from tests.support.field import LAB
from tests.support.host import Host

BRIDGE = """
[bridge.br0]
addresses = ["10.7.0.1/24", "fd07::1/64"]
nodad = true
{}

[veth.p0]
master = "br0"
peer = {{ name = "p1" }}
"""


def test_ifupdown2_187_another_mac_costs_no_ipv6_address(host: Host) -> None:
    host.write("lab.toml", BRIDGE.format(""))
    host.daemon()
    host.sh("ip addr add fd07::99/64 dev br0 nodad; ip route add fd99::/64 via fd07::5")
    host.write("lab.toml", BRIDGE.format('mac = "02:00:00:00:00:77"'))
    host.netd("reload")
    assert host.link("br0")["address"] == "02:00:00:00:00:77"
    assert {"fd07::1/64", "fd07::99/64"} <= host.addresses("br0")
    assert host.run("ip", "-6", "route", "show", "fd99::/64")


@pytest.mark.thorough
def test_ifupdown2_179_a_reload_leaves_an_undeclared_sysctl_of_its_link_alone(host: Host) -> None:
    host.write("lab.toml", BRIDGE.format(""))
    host.daemon()
    host.sh("sysctl -qw net.ipv4.conf.br0.forwarding=1 net.ipv6.conf.br0.forwarding=1")
    host.write("lab.toml", BRIDGE.format("mtu = 1400"))
    host.netd("reload")
    assert (host.sysctl("net.ipv4.conf.br0.forwarding"), host.sysctl("net.ipv6.conf.br0.forwarding")) == ("1", "1")


@pytest.mark.thorough
def test_ifupdown2_250_a_reload_sets_no_foreign_port_down(host: Host) -> None:
    host.write("lab.toml", BRIDGE.format(""))
    host.daemon()
    host.sh("ip link add t0 type veth peer name t1; ip link set t0 up master br0; ip link set t1 up")
    watching = host.start("ip", "monitor", "link")
    for mtu in (1400, 1300):
        host.write("lab.toml", BRIDGE.format(f"mtu = {mtu}"))
        host.netd("reload")
    host.converged()
    assert {"UP", "LOWER_UP"} <= set(host.link("t0")["flags"]) and host.link("t0")["master"] == "br0"
    assert not [line for line in watching.text().splitlines() if "t0" in line and "state DOWN" in line]


def test_systemd_17562_another_vni_is_that_of_the_link(host: Host) -> None:
    lab = '[bridge.br0]\naddresses = ["10.7.0.1/24"]\n[vxlan.vx0]\nvni = {}\nlocal = "10.7.0.1"\nremote = "10.7.0.2"\n'
    host.write("lab.toml", lab.format(100))
    host.daemon()
    host.write("lab.toml", lab.format(200))
    host.netd("reload")
    assert host.link("vx0")["linkinfo"]["info_data"]["id"] == 200


@pytest.mark.thorough
def test_nmstate_3160_a_route_of_ipv6_without_a_metric_is_the_one_of_metric_1024(host: Host) -> None:
    route = '[[route]]\nto = "fd99::/64"\nvia = "fd07::{}"\n{}\n'
    host.write("lab.toml", BRIDGE.format("") + route.format(2, "") + route.format(3, "metric = 1024"))
    assert "route/main/fd99::/64/1024" in host.netd("check", check=1).text


@pytest.mark.thorough
def test_containerlab_730_a_container_that_was_restarted_gets_its_links_again(host: Host) -> None:
    box = '[namespace.box]\nattach = "/run/box/ns"\n[namespace.box.veth.eth0]\naddresses = ["10.7.0.9/24"]\n'
    host.write("lab.toml", BRIDGE.format("") + box + 'peer = { name = "to-box", master = "br0" }\n')
    start = "mkdir -p /run/box; touch /run/box/ns; unshare --net=/run/box/ns true"
    host.sh(start)
    host.daemon()
    host.ping("10.7.0.9")
    for _ in range(2):
        host.sh("umount /run/box/ns; rm /run/box/ns")
        host.sh(start)
        host.ping("10.7.0.9")


def test_podman_27516_an_edited_forward_leaves_no_rule_of_the_former_target(host: Host) -> None:
    forward = '[[nat.dnat]]\nport = 3001\nto = "10.7.0.{}:3001"\n'
    host.write("lab.toml", LAB + forward.format(11))
    host.daemon()
    for last in (12, 13):
        host.write("lab.toml", LAB + forward.format(last))
        host.netd("reload")
    rules = host.run("nft", "list", "ruleset")
    assert "10.7.0.13" in rules and "10.7.0.11" not in rules and "10.7.0.12" not in rules


@pytest.mark.thorough
def test_netavark_904_a_forwarded_port_is_not_that_of_other_machines(host: Host) -> None:
    lab = LAB + '[[nat.dnat]]\nport = 12345\nto = "10.7.0.11:12345"\n'
    host.write(
        "lab.toml",
        lab + '[namespace.far.veth.eth0]\naddresses = ["10.8.0.2/24"]\ngateway = "10.8.0.1"\n'
        'peer = { name = "to-far", addresses = ["10.8.0.1/24"] }\n',
    )
    host.daemon()
    host.serve("one", 12345, ns="one")
    host.serve("far", 12345, ns="far")
    assert host.ask("10.8.0.1", 12345, ns="far")[0] == "one"
    assert host.ask("10.8.0.2", 12345, ns="two")[0] == "far"


@pytest.mark.thorough
def test_netavark_230_what_a_reload_of_the_firewall_flushes_comes_back(host: Host) -> None:
    host.write("lab.toml", LAB + '[[nat.dnat]]\nport = 80\nto = "10.7.0.11:80"\n')
    host.daemon()
    host.sh("nft flush ruleset; nft add table inet reloaded")
    host.until(lambda: "10.7.0.11" in host.run("nft", "list", "ruleset"), "the forward is back")


def test_moby_51755_an_address_does_not_run_out(host: Host) -> None:
    host.write("lab.toml", BRIDGE.format(""))
    host.daemon()
    for address in ("fd07::1/64", "10.7.0.1/24"):
        host.sh(f"ip addr change {address} dev br0 valid_lft 3 preferred_lft 2")

    def forever() -> bool:
        infos = host.json("ip", "-j", "addr", "show", "dev", "br0")[0]["addr_info"]
        found = [each for each in infos if each["local"] in ("fd07::1", "10.7.0.1")]
        return len(found) == 2 and all(each["valid_life_time"] == 4294967295 for each in found)

    host.until(forever, "both stay")


@pytest.mark.thorough
def test_systemd_23256_what_is_on_a_link_comes_back_with_it(host: Host) -> None:
    host.sh("ip link add usb0 type veth peer name far0; ip link set usb0 up; ip link set far0 up")
    host.write(
        "lab.toml",
        '[interface.usb0]\naddresses = ["10.7.0.1/24"]\n'
        '[vxlan.vx0]\nvni = 7\ndev = "usb0"\nlocal = "10.7.0.1"\nremote = "10.7.0.2"\naddresses = ["10.8.0.1/24"]\n',
    )
    host.daemon()
    host.until(lambda: "10.8.0.1/24" in host.addresses("vx0"), "the tunnel is up")
    for _ in range(2):
        host.sh("ip link del usb0")
        host.until(lambda: host.state("vxlan/vx0") == "pending", "it waits for its lower link")
        host.sh("ip link add usb0 type veth peer name far0; ip link set usb0 up; ip link set far0 up")
        host.until(lambda: "10.8.0.1/24" in host.addresses("vx0"), "it is back")


def test_nmstate_516_a_link_that_could_only_be_half_made_goes_with_its_file(host: Host) -> None:
    tunnel = '[vxlan.vx0]\nvni = 5\nlocal = "10.7.0.1"\nremote = "10.7.0.2"\n'
    take = "import socket, time; s = socket.socket(2, 2); s.bind(('', 4789)); print(1, flush=True); time.sleep(999)"
    holder = host.start("python3", "-c", take)
    host.until(lambda: "1" in holder.text(), "the port is taken")
    host.write("lab.toml", BRIDGE.format("") + tunnel)
    host.netd("apply", check=1)
    host.write("lab.toml", BRIDGE.format(""))
    host.apply()
    assert host.link("vx0") is None
