"""Files of a namespace in /etc/netns: ``hosts = true`` and ``dns`` of ``[namespace.NAME]``, ip-netns(8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.file_content import FileContent
from netd.model.invalidation import WatchKey
from netd.model.key import HOST, Key
from netd.model.operations import DeleteFile, WriteFile

from .base.kind import Kind, TableContext, Traits
from .base.roles import SeesAll

#: The beginning of every file that netd writes: others are not netd's.
MARK = "# netd "
HEAD = MARK + "writes this file: 'man netd.toml', {} of [namespace.{}]\n"
HOSTS, RESOLV = "hosts", "resolv.conf"
LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
#: Addresses that only the namespace itself can use.
OWN = ("127.", "::1", "fe80:")
#: Begins a comment in hosts(5).
COMMENT = "#"


def hosts_file(context: TableContext) -> Desired:
    """The names of all namespaces; which they are shows when all files are read (``completed``)."""
    return _file(context, HOSTS, "hosts", HEAD.format(HOSTS, "NAME"))


def resolv_file(context: TableContext, servers: Sequence[str]) -> Desired:
    """The name servers."""
    lines = "".join(f"nameserver {server}\n" for server in servers)
    return _file(context, RESOLV, "dns", HEAD.format("dns", context.name) + lines)


def _file(context: TableContext, name: str, key: str, text: str) -> Desired:
    return Desired(
        key=Key(HOST, EtcKind.name, f"{context.name}/{name}"),
        fields={"content": FileContent(text)},
        origins=(context.at(key),),
    )


def lines(desired: Mapping[Key, Desired]) -> Iterator[str]:
    """hosts(5) of all namespaces: one line for each address, in the order of the files."""
    for key in desired:
        if key.kind == "address" and key.netns and COMMENT not in key.netns:
            address = key.name.split("/")[1]
            if not address.startswith(OWN):
                yield f"{address} {key.netns}\n"


class EtcKind(Kind, SeesAll):
    """etc/NAMESPACE/FILE: the file FILE in /etc/netns/NAMESPACE. It is the same whether the namespace exists or not."""

    name = "etc"
    traits = Traits(has_mark=True, mergeable=True)

    def completed(self, own: Sequence[Desired], everything: Mapping[Key, Desired]) -> Mapping[Key, Desired]:
        """All hosts files share one text."""
        files = [each for each in own if each.key.name.endswith(f"/{HOSTS}")]
        if not files:
            return {}
        head = files[0].fields["content"].text
        fields = {"content": FileContent(head + LOCAL + "".join(lines(everything)))}
        return {each.key: replace(each, fields=fields) for each in files}

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        text = view.file(key.name)
        if text is None:
            return None
        marked = text.startswith(MARK)
        return Observed(
            fields={"content": FileContent(text)},
            identity={"path": key.name},
            marked=marked,
            conflict="" if marked else "a file that netd did not write",
        )

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return {"path": key.name}

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("files", HOST, key.name),)

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        for path in view.files() if netns == HOST else ():
            if (view.file(path) or "").startswith(MARK):
                yield Key(HOST, self.name, path), {}

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return [Step(Phase.SETTINGS, WriteFile(HOST, desired.key.name, desired.fields["content"].text, new=True))]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        return [Step(Phase.SETTINGS, WriteFile(HOST, key.name, fields["content"].text))] if fields else ()

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return [Step(Phase.SETTINGS, DeleteFile(HOST, key.name))]
