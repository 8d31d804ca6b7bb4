"""IP-VLANs: ``[ipvlan.NAME]``, ip-link(8) "ipvlan"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from netd.model.desired import Desired

from .base.kind import TomlForm
from .base.options import option
from .base.values import Name, NamespaceOrHost
from .link.attributes import LowerLink, LowerNamespace, Word
from .link.ends import LinkTable
from .link.link_kind import LinkKind

#: IFLA_IPVLAN_*, include/uapi/linux/if_link.h; IPVLAN_MODE_*; and IPVLAN_F_PRIVATE, IPVLAN_F_VEPA.
MODE, FLAGS = 1, 2
MODES = {"l2": 0, "l3": 1, "l3s": 2}
ISOLATION = {"bridge": 0, "private": 1, "vepa": 2}


class IpvlanTable(LinkTable):
    """A link with IP addresses of its own on a lower link, of which it has the MAC address."""

    dev: Name = option("the lower link", wire=LowerLink(), live=False, also=("link",))
    dev_namespace: NamespaceOrHost | None = option(
        "namespace of `dev`", default=None, absent="the link's namespace", wire=LowerNamespace(), live=False
    )
    mode: Literal["l2", "l3", "l3s"] = option(
        "whether frames or packets are passed on; the same for all on one lower link",
        default="l2",
        wire=Word(MODE, MODES, "=H", default="l3"),
    )
    isolation: Literal["bridge", "private", "vepa"] = option(
        "which links on the same lower link it reaches; the same for all of these",
        default="bridge",
        wire=Word(FLAGS, ISOLATION, "=H", default="bridge"),
    )

    def check(self) -> None:
        super().check()
        if self.mac is not None:
            raise ValueError("mac: an ipvlan has the MAC address of its dev: write mac there, or use a macvlan")


class IpvlanKind(LinkKind):
    """ipvlan/N."""

    name = "ipvlan"
    toml = TomlForm(IpvlanTable)
    remembered: ClassVar[frozenset[str]] = frozenset()
    takes_frames = True

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """The kernel keeps both options once for each lower link (struct ipvl_port)."""
        known: dict[str, Desired] = {}
        for one in desired:
            other = known.setdefault(one.fields["dev"], one)
            for key in ("mode", "isolation"):
                if one.fields[key] != other.fields[key]:
                    yield one, other, f"{key}: {other.key} on the same link has '{other.fields[key]}': write that"
                    break

    def remember(self, desired: Desired, memory: Mapping[str, Any], key: bytes) -> Mapping[str, Any]:
        return {}
