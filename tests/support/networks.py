"""Random networks: valid files with something of every kind, the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator


class Network:
    """``text`` is one file. Namespaces, bridges with ports, pairs, tunnels, routes, rules, neighbors, sysctls, NAT."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.spaces = ["", *(f"n{number}" for number in range(self._chance.randint(0, 4)))]
        #: Links by namespace that routes and neighbors can be on, each with the third number of its network.
        self._links: list[tuple[str, str, int]] = []
        self._bridges: dict[str, list[str]] = {}
        self._number = 0
        self._plain = self._own_tables()
        self.text = "\n".join([self._plain, *self._tables()])

    def _maybe(self, share: float = 0.3) -> bool:
        return self._chance.random() < share

    def _own_tables(self) -> str:
        chosen = (space for space in self.spaces[1:] if self._maybe())
        return "".join(
            f"[namespace.{space}]\n" + ("ipv6 = false\n\n" if self._maybe(0.2) else "\n") for space in chosen
        )

    def _tables(self) -> Iterator[str]:
        for space in self.spaces:
            for _ in range(self._chance.randint(0, 2)):
                yield self._bridge(space)
        for _ in range(self._chance.randint(1, 6)):
            yield self._pair()
        for _ in range(self._chance.randint(0, 2)):
            yield self._vxlan()
        for space in self.spaces:
            yield from self._settings(space)

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number}"

    def _header(self, space: str, *path: str, array: bool = False) -> str:
        text = ".".join([*(("namespace", space) if space else ()), *path])
        return f"[[{text}]]" if array else f"[{text}]"

    def _bridge(self, space: str) -> str:
        name = self._name("br")
        self._bridges.setdefault(space, []).append(name)
        options = {
            "forward_delay": self._chance.randint(2, 30), "ageing_time": self._chance.randint(0, 900),
            "stp": "true", "mcast_snooping": "false", "priority": self._chance.randint(0, 65535),
            "vlan_filtering": "true", "group_fwd_mask": 8,
        }  # fmt: skip
        chosen = [f"{key} = {value}" for key, value in options.items() if self._maybe(0.2)]
        return "\n".join([self._header(space, "bridge", name), *chosen, *self._end(space, name, port=False), ""])

    def _end(self, space: str, name: str, *, port: bool = True) -> list[str]:
        """The keys of one end."""
        found = []
        bridges = self._bridges.get(space, [])
        if port and bridges and self._maybe(0.6):
            found.append(f'master = "{self._chance.choice(bridges)}"')
            if self._maybe():
                settings = {"isolated": "true", "hairpin": "true", "learning": "false", "flood": "false", "cost": 77}
                key = self._chance.choice(list(settings))
                found.append(f"bridge_port = {{ {key} = {settings[key]} }}")
        elif self._maybe(0.7):
            self._number += 1
            number = self._number
            addresses = [f"10.{number}.0.1/24"] + ([f"10.{number}.0.2/24"] if self._maybe() else [])
            if self._maybe() and "ipv6 = false" not in self._plain:
                addresses.append(f"fd00:{number}::1/64")
                found.append("nodad = true")
            self._links.append((space, name, number))
            found.append(f"addresses = [{', '.join(f'{each!r}' for each in addresses)}]".replace("'", '"'))
            if self._maybe() and not any(where == space for where, _, _ in self._links[:-1]):
                found.append(f'gateway = "10.{number}.0.254"')
                if self._maybe(0.2):
                    found.append("gateway_metric = 50")
        if self._maybe(0.2):
            found.append(f"mtu = {self._chance.choice([1400, 1280, 1499])}")
        if self._maybe(0.1):
            found.append("up = false")
        if self._maybe(0.1):
            self._number += 1
            found.append(f'mac = "02:00:00:00:01:{self._number:02x}"')
        if self._maybe(0.15):
            found.append(
                'netem = { delay = "20ms", loss = "1%" }' if self._maybe(0.5) else 'netem = { rate = "1mbit" }'
            )
        return found

    def _pair(self) -> str:
        space, other = self._chance.choice(self.spaces), self._chance.choice(self.spaces)
        name, peer = self._name("v"), self._name("p")
        keys = [f'name = "{peer}"'] + ([f'namespace = "{other}"'] if other else [])
        keys += self._end(other, peer)
        return "\n".join(
            [self._header(space, "veth", name), *self._end(space, name), f"peer = {{ {', '.join(keys)} }}", ""]
        )

    def _vxlan(self) -> str:
        space, name = self._chance.choice(self.spaces), self._name("vx")
        remotes = ["10.250.0.2", "10.250.0.3"]
        remote = f'"{remotes[0]}"' if self._maybe(0.5) else '["10.250.0.2", "10.250.0.3"]'
        found = [self._header(space, "vxlan", name), f"vni = {self._number + 100}", 'local = "10.250.0.1"']
        found += [f"remote = {remote}"] if self._maybe(0.8) else []
        found += ["ttl = 9"] if self._maybe() else []
        found += ["learning = false"] if self._maybe() else []
        found += ["port = 8472"] if self._maybe(0.2) else []
        if self._maybe():
            found.append('fdb = [{ mac = "02:00:00:00:00:21", dst = "10.250.0.2" }]')
        if space and self._maybe():
            found.append('dev_namespace = ""')
        return "\n".join([*found, *self._end(space, name), ""])

    def _settings(self, space: str) -> Iterator[str]:
        links = [(name, number) for where, name, number in self._links if where == space]
        if self._maybe():
            yield f"{self._header(space, 'sysctl')}\nnet.ipv4.ip_forward = 1\n"
        elif self._maybe():
            yield f"{self._header(space, 'sysctl')}\nnet.ipv4.ip_default_ttl = {self._chance.randint(1, 255)}\n"
        for name, number in links:
            if self._maybe():
                lines = [
                    self._header(space, "route", array=True),
                    f'to = "10.{number}.{self._chance.randint(1, 9)}.0/24"',
                ]
                lines += [f'via = "10.{number}.0.7"'] if self._maybe(0.6) else [f'dev = "{name}"']
                lines += ["metric = 7"] if self._maybe() else []
                lines += ["table = 100"] if self._maybe() else []
                yield "\n".join([*lines, ""])
            if self._maybe():
                neighbor = f'address = "10.{number}.0.9"\nmac = "02:00:00:00:00:09"\ndev = "{name}"\n'
                yield f"{self._header(space, 'neighbor', array=True)}\n{neighbor}"
        if self._maybe():
            yield f'{self._header(space, "route", array=True)}\nto = "10.251.0.0/16"\ntype = "blackhole"\n'
        if len(links) > 1 and self._maybe():
            hops = ", ".join(f'{{ via = "10.{number}.0.8", weight = {at} }}' for at, (_, number) in enumerate(links, 1))
            yield f'{self._header(space, "route", array=True)}\nto = "10.252.0.0/16"\nnexthops = [{hops}]\n'
        if self._maybe():
            rule = 'priority = 1000\nfrom = "10.1.0.0/16"\ntable = 100\n' + ("fwmark = 16\n" if self._maybe() else "")
            yield f"{self._header(space, 'rule', array=True)}\n{rule}"
        if self._maybe():
            yield f'{self._header(space, "nat", "masquerade", array=True)}\nsource = "10.1.0.0/16"\nout = "up0"\n'
        if self._maybe():
            yield f'{self._header(space, "nat", "snat", array=True)}\nsource = "10.2.0.0/16"\nto = "10.9.9.9"\n'
        if self._maybe():
            yield f'{self._header(space, "nat", "dnat", array=True)}\nport = 8080\nto = "10.1.0.9:80"\n'
