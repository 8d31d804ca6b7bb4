"""Kernel parameters: ``[sysctl]``, sysctl.d(5). Only ``net.*``, which is what a namespace has of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.names import link_name
from netd.model.operations import WriteSysctl

from .base.kind import TableContext, TomlForm, link_by_identity
from .base.options import Table
from .base.setting_kind import SettingKind
from .base.sysctl_values import WRITE_ONLY, meaning

#: Keys below these have an interface's name (or "all", "default") before their last part.
PER_LINK = frozenset(
    tuple(text.split("/"))
    for text in ("net/ipv4/conf", "net/ipv6/conf", "net/ipv4/neigh", "net/ipv6/neigh", "net/mpls/conf")
)
IP_FORWARD = "net/ipv4/ip_forward"
#: Two names of one thing in the kernel: (alias, name).
ALIASES = {"net/ipv4/conf/all/forwarding": IP_FORWARD}
#: A change of these changes the same one of "default" and of each link: inet_forward_change() in net/ipv4/devinet.c,
#: addrconf_fixup_forwarding() and its likes in net/ipv6/addrconf.c.
WIDE = {
    IP_FORWARD: "net/ipv4/conf/{}/forwarding",
    "net/ipv6/conf/all/forwarding": "net/ipv6/conf/{}/forwarding",
    "net/ipv6/conf/all/disable_ipv6": "net/ipv6/conf/{}/disable_ipv6",
    "net/ipv6/conf/all/ignore_routes_with_linkdown": "net/ipv6/conf/{}/ignore_routes_with_linkdown",
    "net/ipv6/conf/all/addr_gen_mode": "net/ipv6/conf/{}/addr_gen_mode",
}
REDIRECTS = "net/ipv4/conf/all/accept_redirects"
#: The same the other way.
WIDER = {pattern: path for path, pattern in WIDE.items()}


def flatten(value: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any]]:
    """The leaves of nested tables: what TOML makes of bare dotted keys."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from flatten(below, (*path, name))
    else:
        yield path, value


def proc_path(toml_path: Sequence[str]) -> str:
    """The path below /proc/sys of a key as written; ValueError where it is none.

    A key with a slash is as in sysctl.d: slashes separate, dots are part of a name. Else dots separate, except in an
    interface's name, which is between a known prefix and the last part.
    """
    text = ".".join(toml_path)
    parts = tuple(text.split("/")) if "/" in text else tuple(text.split("."))
    if "/" in text and "." in parts[0]:
        # sysctl(8) prints net.ipv4.conf.eth0/5.forwarding: there the two have changed places.
        parts = tuple(part.replace("/", ".") for part in text.split("."))
    if len(parts) < 3 or parts[0] != "net" or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"'{text}' is not a network parameter, such as net.ipv4.ip_forward")
    if parts[:3] in PER_LINK:
        if len(parts) < 5:
            raise ValueError(f"'{text}' names no parameter: {'.'.join(parts[:3])}.INTERFACE.PARAMETER")
        link_name(".".join(parts[3:-1]))
        parts = (*parts[:3], ".".join(parts[3:-1]), parts[-1])
    if any("\0" in part or "\n" in part for part in parts):
        raise ValueError("a parameter cannot contain control characters")
    path = "/".join(parts)
    return ALIASES.get(path, path)


def sysctl_name(path: str) -> str:
    """The name as sysctl(8) prints it: dots and slashes changed places."""
    return path.translate({ord("/"): ".", ord("."): "/"})


def sysctl_path(name: str) -> str:
    """The path below /proc/sys of a name as sysctl(8) prints it."""
    return name.translate({ord("/"): ".", ord("."): "/"})


def link_of(path: str) -> str:
    """The interface that a path is about, "" where it is about none."""
    parts = path.split("/")
    return parts[3] if tuple(parts[:3]) in PER_LINK and parts[3] not in ("all", "default") else ""


def path_of(path: str, name: str) -> str:
    """The same parameter of another link, or of "default"."""
    parts = path.split("/")
    return "/".join([*parts[:3], name, *parts[4:]])


def canonical_value(value: Any, path: str = "") -> str:
    """The value as it reads back: words joined by one space, and what means the same spelled as the kernel does."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if not isinstance(value, int | str):
        raise ValueError("must be an integer, a boolean or a string")
    text = " ".join(str(value).split())
    if not text or "\0" in text:
        raise ValueError("must not be empty")
    return meaning(path, text)


class SysctlTable(Table):
    """Keys are parameters; bare dotted keys arrive as nested tables."""

    free = True

    def check(self) -> None:
        for path, value in flatten(self.undeclared):
            try:
                found = proc_path(path)
                if found in WRITE_ONLY:
                    raise ValueError("it is write-only: writing it starts an action, and there is no state to keep")
                canonical_value(value, found)
            except ValueError as error:
                raise ValueError(f"{'.'.join(path)}: {error}") from None


class SysctlKind(SettingKind):
    """sysctl/KEY."""

    name = "sysctl"
    toml = TomlForm(SysctlTable, "single")

    def declare(self, table: SysctlTable, context: TableContext) -> Iterable[Desired]:
        for toml_path, value in flatten(table.undeclared):
            path = proc_path(toml_path)
            dev = link_of(path)
            yield Desired(
                key=Key(context.netns, "sysctl", sysctl_name(path)),
                fields={"value": canonical_value(value, path)},
                origins=(context.at(*toml_path),),
                requires=(LinkName(context.netns, dev),) if dev else (),
            )

    def key_of(self, netns: str, path: str) -> Key:
        return Key(netns, self.name, sysctl_name(path))

    def path_of(self, key: Key) -> str:
        return sysctl_path(key.name)

    def example_path(self, key: Key) -> str:
        path = self.path_of(key)
        return path_of(path, "default") if tuple(path.split("/")[:3]) in PER_LINK else path

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        path = sysctl_path(key.name)
        dev = link_of(path)
        link = link_by_identity(LinkName(key.netns, dev), identity, view) if dev else None
        if dev and link is None:
            # A directory of that name can exist before the event of the new link: it does not belong to the known link.
            return None
        if link is not None:
            path = path_of(path, link.name)
        value = view.sysctl(key.netns, path)
        if value is None:
            return None
        return Observed(
            fields={"value": meaning(path, value)},
            identity={"cookie": view.cookie(key.netns), "index": link.index if link else 0},
            renamed_away=link is not None and link.name != dev,
            handle=path,
        )

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        path = sysctl_path(key.name)
        dev = link_of(path)
        links = (WatchKey("link", key.netns, dev),) if dev else ()
        return (WatchKey("sysctl", key.netns, path), *links)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return self._write(desired.key.netns, sysctl_path(desired.key.name), desired.fields["value"], view)

    def _write(self, netns: str, path: str, value: str, view: View) -> Sequence[Step]:
        dev = link_of(path)
        # Forwarding drops what a router advertised, except on links with accept_ra = 2.
        early = path.endswith("/accept_ra") and (not dev or view.link(netns, dev) is not None)
        phase = (
            Phase.EARLY_SYSCTL
            if early
            else Phase.LINK_SYSCTL
            if dev
            else Phase.WIDE_SYSCTL
            if path in WIDE
            else Phase.SYSCTL
        )
        return [Step(phase, WriteSysctl(netns, path, value))]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        return self._write(key.netns, observed.handle, fields["value"], view) if fields else ()

    def side_effects(self, key: Key, value: Any, links: Iterable[str]) -> Mapping[str, str]:
        path = sysctl_path(key.name)
        if path not in WIDE:
            return {}
        found = {WIDE[path].format(name): str(value) for name in ("default", *links)}
        if path == IP_FORWARD:
            # A router ignores redirects, a host accepts them.
            found[REDIRECTS] = "1" if value == "0" else "0"
        return found

    def changed_by(self, key: Key) -> tuple[Key, str] | None:
        path = sysctl_path(key.name)
        wide = IP_FORWARD if path == REDIRECTS else WIDER.get(path_of(path, "{}"))
        return None if wide in (None, path) else (Key(key.netns, self.name, sysctl_name(wide)), path)

    def restore(self, key: Key, locator: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        made = self.side_effects(
            key, view.sysctl(key.netns, sysctl_path(key.name)), [link.name for link in view.links(key.netns)]
        )
        found = (one.partition("=")[::2] for one in foreign)
        # A value that differs from the kernel's was set by another program.
        return [
            Step(Phase.LINK_SYSCTL, WriteSysctl(key.netns, path, value))
            for path, value in found
            if path in made and view.sysctl(key.netns, path) == made[path]
        ]

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return ()

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        """A new link has the values of "default"."""
        path = sysctl_path(key.name)
        if found is not None or not link_of(path):
            return found
        return Key(key.netns, self.name, sysctl_name(path_of(path, "default")))
