"""The table of a check, and a check as it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from netd.kinds.base.kind import Kind, TableContext, TomlForm
from netd.kinds.base.options import Table, option
from netd.kinds.base.values import Range
from netd.model.desired import Origin

from .values import Command, DnsName, Duration, From, Host, HostPort, Percentage, Server, Url

#: What a check can try: one of these keys is its type.
TYPES = ("ping", "tcp", "udp", "http", "dns", "command")
#: Keys that belong to one type.
BELONGS = {
    "size": "ping", "df": "ping", "count": "ping", "max_loss": "ping", "max_rtt": "ping", "status": "http",
    "body": "http", "server": "dns", "answer": "dns",
}  # fmt: skip


class CheckTable(Table):
    """What `netd test` tries: one of `ping`, `tcp`, `udp`, `http`, `dns` and `command`."""

    name: str | None = option("what it is called", default=None, absent="type, target and namespace")
    from_: From | None = option(
        'the namespace that it is tried from (`""` is the host); not in `[[namespace.N.check]]`',
        default=None,
        absent="the host",
        key="from",
    )
    ping: Host | None = option("address that must answer", default=None)
    tcp: HostPort | None = option("a connection must be accepted", default=None)
    udp: HostPort | None = option("a datagram must be answered, or at least not be refused", default=None)
    http: Url | None = option("must answer", default=None)
    dns: DnsName | None = option("name that must have an address", default=None)
    command: Command | None = option("must end with status 0; runs as root", default=None)
    expect: Literal["ok", "fail"] = option("`fail`: it must not succeed", default="ok")
    within: Duration = option("it is tried again until it is as expected, for this time", default="5s")
    size: Annotated[int, Range(0, 65507)] = option("ping: bytes of data", default=56)
    df: bool | None = option("ping: `true` forbids fragments, so that the MTU counts", default=None)
    count: Annotated[int, Range(1, 1000)] | None = option(
        "ping: how many are sent", default=None, absent="1; with `max_loss` 10"
    )
    max_loss: Percentage | None = option("ping: the most that may be lost", default=None, absent="one answer is enough")
    max_rtt: Duration | None = option("ping: the slowest answer that is allowed", default=None)
    status: Annotated[int, Range(100, 599)] | None = option(
        "http: the status of the answer", default=None, absent="200 to 399"
    )
    body: str | None = option("http: a text in the answer", default=None)
    server: Server | None = option("dns: the server that is asked", default=None, absent="of resolv.conf")
    answer: str | None = option("dns: an address, or name, that must be among the answers", default=None)

    def check(self) -> None:
        given = [each for each in TYPES if getattr(self, each) is not None]
        if len(given) != 1:
            listed = f"not {' and '.join(given)}" if given else "and none is here"
            raise ValueError(f"a check has one of {', '.join(TYPES)}: {listed}")
        for key, owner in BELONGS.items():
            default = {"size": 56}.get(key)
            if owner != given[0] and getattr(self, key) != default:
                raise ValueError(f"{key}: belongs to {owner}, not to {given[0]}")
        if self.name == "":
            raise ValueError("name: must not be empty")

    @property
    def type(self) -> str:
        """The key that says what is tried."""
        return next(each for each in TYPES if getattr(self, each) is not None)

    @property
    def target(self) -> str:
        """What is tried, as it is written."""
        value = getattr(self, self.type)
        return " ".join(value) if isinstance(value, list) else str(value)


class ChecksKind(Kind):
    """The form of ``[[check]]`` for the parser. It is not in the registry: the engine never sees a check."""

    name = "check"
    toml = TomlForm(CheckTable, "array")


CHECKS = ChecksKind()


@dataclass(frozen=True, slots=True)
class Check:
    """One check: where it is tried from ("" is the host), what, and where that is written."""

    name: str
    netns: str
    table: CheckTable
    origin: Origin


def declared(table: CheckTable, context: TableContext) -> Check:
    """The check of one table; ValueError where it says twice where it is tried from."""
    if context.netns and table.from_ not in (None, context.netns):
        raise ValueError(f"from: this check is tried from '{context.netns}' by its table: leave 'from' out")
    netns = context.netns or table.from_ or ""
    name = table.name or f"{table.type} {table.target}" + (f" from {netns}" if netns else "")
    return Check(name, netns, table, context.origin)
