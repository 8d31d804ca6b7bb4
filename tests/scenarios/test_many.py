"""More namespaces than a process may have low descriptors."""

from __future__ import annotations

import pytest

from tests.support.host import Host

COUNT = 1100


@pytest.mark.thorough
def test_translation_works_beside_a_thousand_namespaces_with_sysctls(host: Host) -> None:
    namespaces = "\n".join(f"[namespace.n{n}]\nsysctl.net.ipv4.conf.lo.arp_announce = 1" for n in range(COUNT))
    host.write("lab.toml", namespaces)
    host.daemon()
    host.write("nat.toml", '[[namespace.n1099.nat.masquerade]]\nsource = "10.0.0.0/8"\nout = "eth0"\n')
    host.until(lambda: "masquerade" in host.run("nft", "list", "ruleset", ns="n1099"), "the rule is there")
    host.converged()
