"""What is netd's and what is not: foreign things are adopted, give way, or are left alone."""

from __future__ import annotations

from tests.support.host import Host

WAYS = "ip link add br0 up type bridge; ip addr add 10.1.0.1/24 dev br0; ip addr add fd01::1/64 dev br0 nodad"


def reason(host: Host, name: str) -> str:
    """Why an object is in its state."""
    return next(str(each["reason"]) for each in host.status()["objects"] if each["object"] == name)


def test_a_foreign_route_gives_way_and_comes_back(host: Host) -> None:
    host.sh(f"{WAYS}; ip route add 10.5.0.0/24 via 10.1.0.77 mtu 1234; ip route add fd05::/64 via fd01::77 metric 9")
    before = host.routes("10.5.0.0/24") + host.routes("fd05::/64")
    host.write(
        "lab.toml",
        """
        [[route]]
        to = "10.5.0.0/24"
        via = "10.1.0.2"

        [[route]]
        to = "fd05::/64"
        via = "fd01::2"
        metric = 9
        """,
    )
    host.apply()
    assert [each["gateway"] for each in host.routes("10.5.0.0/24")] == ["10.1.0.2"]
    assert [each["gateway"] for each in host.routes("fd05::/64")] == ["fd01::2"]
    host.remove("lab.toml")
    host.apply()
    assert host.routes("10.5.0.0/24") + host.routes("fd05::/64") == before


def test_an_equal_foreign_route_is_adopted_and_left_standing(host: Host) -> None:
    host.sh(f"{WAYS}; ip route add 10.5.0.0/24 via 10.1.0.2 proto static")
    host.write("lab.toml", '[[route]]\nto = "10.5.0.0/24"\nvia = "10.1.0.2"\n')
    host.apply()
    assert host.routes("10.5.0.0/24")[0]["protocol"] == "static"
    host.netd("down")
    assert host.routes("10.5.0.0/24")[0]["protocol"] == "static"


def test_a_route_of_the_kernels_own_is_a_conflict(host: Host) -> None:
    host.sh(WAYS)
    before = host.routes("10.1.0.0/24")
    host.write("lab.toml", '[[route]]\nto = "10.1.0.0/24"\nvia = "10.1.0.2"\n')
    host.daemon()
    assert host.state("route/main/10.1.0.0/24/0") == "conflict"
    assert host.routes("10.1.0.0/24") == before


def test_a_default_route_of_someone_else_gives_way_to_a_gateway_and_comes_back(host: Host) -> None:
    host.sh(f"{WAYS}; ip route add default via 10.1.0.77")
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.1.0.1/24"]\ngateway = "10.1.0.2"\n')
    host.daemon()
    assert [each["gateway"] for each in host.routes("default")] == ["10.1.0.2"]
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.1.0.1/24"]\n')
    host.until(lambda: [each["gateway"] for each in host.routes("default")] == ["10.1.0.77"], "the other one is back")


def test_other_rules_and_routes_stay(host: Host) -> None:
    host.sh(f"{WAYS}; ip rule add priority 500 from 10.9.0.0/16 table 50; ip route add 10.6.0.0/24 via 10.1.0.3")
    host.write("lab.toml", '[[rule]]\npriority = 600\nfrom = "10.8.0.0/16"\ntable = 60\n')
    host.apply()
    assert {500, 600} <= {each["priority"] for each in host.json("ip", "-j", "rule")}
    host.netd("down")
    priorities = {each["priority"] for each in host.json("ip", "-j", "rule")}
    assert 500 in priorities and 600 not in priorities
    assert host.routes("10.6.0.0/24")


def test_what_hangs_on_a_failed_object_is_pending_and_names_it(host: Host) -> None:
    host.run("ip", "link", "add", "br0", "type", "veth", "peer", "name", "other0")
    host.write(
        "lab.toml",
        """
        [bridge.br0]
        addresses = ["10.1.0.1/24"]

        [namespace.a.veth.eth0]
        peer = { name = "port-a", master = "br0" }
        """,
    )
    host.daemon()
    assert host.state("bridge/br0") == "conflict"
    assert host.state("address/br0/10.1.0.1/24") == "pending"
    assert "br0" in reason(host, "address/br0/10.1.0.1/24")
    assert host.state("a:veth/eth0") == "pending"
    assert host.link("port-a") is not None and "master" not in host.link("port-a")
    host.run("ip", "link", "del", "br0")
    host.converged()
    assert host.link("port-a")["master"] == "br0"
    assert host.addresses("br0") == {"10.1.0.1/24"}


def test_a_pair_waits_for_the_namespace_of_its_peer(host: Host) -> None:
    host.write("lab.toml", '[veth.v0]\npeer = { name = "v1", namespace = "theirs" }\n')
    host.daemon()
    assert host.link("v0") is None and host.state("veth/v0") == "pending"
    assert "theirs" in reason(host, "veth/v0")
    host.run("ip", "netns", "add", "theirs")
    host.until(lambda: host.link("v1", "theirs"), "the pair stands")
    host.netd("reload")
    assert host.state("veth/v0") == "ok"
    host.remove("lab.toml")
    host.until(lambda: host.link("v0") is None, "the pair is gone")
    assert host.namespaces() == {"theirs"}


def test_accepts_go_into_docker_user_where_it_exists_and_out_again(host: Host) -> None:
    host.sh(
        """
        iptables-nft -P FORWARD DROP
        iptables-nft -N DOCKER-USER
        iptables-nft -A DOCKER-USER -s 10.66.0.0/16 -j DROP
        iptables-nft -A DOCKER-USER -j RETURN
        iptables-nft -A FORWARD -j DOCKER-USER
        """
    )
    before = host.run("iptables-nft", "-S")
    host.write("lab.toml", "[bridge.br0]\nforward = true\n")
    host.apply()
    ours = [line for line in host.run("iptables-nft", "-S").splitlines() if "br0" in line]
    assert len(ours) == 2 and all(line.startswith("-A DOCKER-USER ") for line in ours)
    host.netd("down")
    assert host.run("iptables-nft", "-S") == before


def test_links_and_routes_carry_netds_mark(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [namespace.a.veth.eth0]
        addresses = ["10.1.0.1/24"]
        gateway = "10.1.0.2"
        peer = { name = "to-a" }
        """,
    )
    host.apply()
    groups = {host.link("to-a")["group"], host.link("eth0", "a")["group"]}
    assert len(groups) == 1 and groups != {"default"}
    (route,) = host.routes("default", ns="a")
    assert route["protocol"] not in ("boot", "static", "kernel")
