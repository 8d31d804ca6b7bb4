"""A name in /run/netns that leads to the host, or to a namespace that has another name already, is a conflict."""

from __future__ import annotations

from tests.support.host import Host

WEB = '[namespace.web.veth.eth0]\naddresses = ["10.0.0.2/24"]\npeer = { name = "to-web" }\n'


def reason(host: Host, name: str) -> str:
    found = next(each for each in host.status()["objects"] if each["object"] == name)
    assert found["state"] == "conflict", found
    return str(found["reason"])


def test_a_name_of_the_hosts_own_namespace_is_a_conflict(host: Host) -> None:
    host.run("ip", "netns", "attach", "web", "1")
    host.write("lab.toml", WEB)
    host.daemon()
    assert "the host itself" in reason(host, "namespace/web")
    assert not host.names(), "nothing was built on the host"
    assert host.state("web:veth/eth0") == host.state("web:address/eth0/10.0.0.2/24") == "pending"
    host.sh("ip netns del web")
    host.until(lambda: host.state("web:address/eth0/10.0.0.2/24") == "ok", "once the name is free it is built")
    assert host.names("web") == {"eth0"}


def test_a_name_that_comes_to_lead_to_the_host_is_a_conflict(host: Host) -> None:
    host.write("lab.toml", WEB)
    host.daemon()
    host.sh("umount /run/netns/web; mount --bind /proc/1/ns/net /run/netns/web")
    host.until(lambda: "the host itself" in reason(host, "namespace/web"), "it is a conflict")
    assert "eth0" not in host.names()
    host.remove("lab.toml")
    host.netd("reload")
    assert host.file("/run/netns/web").exists(), "what netd did not make stays"


def test_sysctls_and_rules_are_not_written_to_the_host(host: Host) -> None:
    host.run("ip", "netns", "attach", "web", "1")
    host.write(
        "lab.toml",
        '[namespace.web.sysctl]\nnet.ipv4.ip_forward = 1\n[[namespace.web.nat.masquerade]]\nsource = "10.0.0.0/8"\n'
        '[namespace.web.interface.lo]\naddresses = ["10.9.9.9/32"]\n[namespace.web.bridge.br9]\n'
        '[[namespace.web.route]]\nto = "10.1.0.0/16"\ntype = "blackhole"\n',
    )
    host.netd("apply", check=1)
    assert host.sysctl("net.ipv4.ip_forward") == "0"
    assert not host.nft()
    assert not host.names()
    assert not host.routes()
    assert "10.9.9.9/32" not in host.addresses("lo")


def test_two_names_of_one_namespace_are_a_conflict_of_one(host: Host) -> None:
    host.sh("ip netns add web; touch /run/netns/abc; mount --bind /run/netns/web /run/netns/abc")
    host.write("lab.toml", "[namespace.web.bridge.br0]\n[namespace.abc.bridge.br1]\n")
    host.netd("apply", check=1)
    assert host.names("web") == {"br1"}, "abc has it"
    host.sh("umount /run/netns/abc; rm /run/netns/abc")
    host.apply()
    assert "br0" in host.names("web")
    assert host.names("abc") == {"br1"}


def test_of_two_names_the_one_that_netd_made_keeps_it(host: Host) -> None:
    host.write("lab.toml", "[namespace.web.bridge.br0]\n")
    host.daemon()
    host.sh("touch /run/netns/abc; mount --bind /run/netns/web /run/netns/abc")
    host.write("more.toml", "[namespace.abc.bridge.br1]\n")
    host.until(lambda: "namespace/web under another name" in reason(host, "namespace/abc"), "it is told")
    assert host.names("web") == {"br0"}
    assert host.state("namespace/web") == "ok"
