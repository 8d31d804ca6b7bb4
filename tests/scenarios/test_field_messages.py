"""A refusal says what is missing, or who is in the way, not only the words of an errno."""

from __future__ import annotations

import sys

import pytest

from tests.support.host import Host
from tests.support.process import until

UDP = "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 4789)); "
TUNNEL = """
[bridge.br0]
addresses = ["10.7.0.1/24"]

[vxlan.vx0]
vni = 5
local = "10.7.0.1"
remote = "10.7.0.2"
"""


def test_the_program_that_has_the_port_of_a_tunnel_is_named(host: Host) -> None:
    holder = host.start(sys.executable, "-c", UDP + "print('ready', flush=True); time.sleep(1000)")
    until(lambda: "ready" in holder.text(), "the port is taken")
    host.write("lab.toml", TUNNEL)
    host.daemon()
    host.until(lambda: "UDP port 4789 is used by python" in host.netd("status", check=None).text, "it is named")
    holder.kill()
    host.until(lambda: host.state("vxlan/vx0") == "ok", "the tunnel is up without it")


@pytest.mark.parametrize("capability, lab", [("net_admin", "[bridge.br0]\n"), ("sys_admin", "[namespace.a]\n")])
def test_a_capability_that_netd_lacks_is_named_without_a_traceback(host: Host, capability: str, lab: str) -> None:
    # The other table is there so that something is announced: that needs a namespace to be entered.
    host.write("lab.toml", lab + ('[bridge.br1]\naddresses = ["10.7.0.1/24"]\n' if capability == "sys_admin" else ""))
    without = ("setpriv", f"--bounding-set=-{capability}", "--inh-caps=-all")
    done = host.netd_as(without, "apply")
    assert f"netd runs without CAP_{capability.upper()}" in done.text
    assert "Traceback" not in done.text


def test_a_key_that_the_kernel_was_built_without_is_named(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\nvlan_filtering = true\n")
    if host.netd("apply", check=None).returncode == 0:
        pytest.skip("this kernel has vlan_filtering")
    said = host.netd("apply", check=1).text
    assert "built without vlan_filtering (CONFIG_BRIDGE_VLAN_FILTERING)" in said
