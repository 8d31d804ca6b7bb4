"""MAC-VLANs: ``[macvlan.NAME]``, ip-link(8) "macvlan"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from netd.model.desired import Desired
from netd.model.segment import Links
from netd.model.state import Link

from .base.kind import TomlForm
from .base.options import option
from .base.values import Name, NamespaceOrHost
from .link.attributes import LowerLink, LowerNamespace, Word
from .link.ends import LinkTable
from .link.link_kind import LinkKind

#: IFLA_MACVLAN_MODE, and its values MACVLAN_MODE_*, include/uapi/linux/if_link.h.
MODE = 1
MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
PASSTHRU = "passthru"


def stays_out_of_passthru(want: str, have: str) -> bool:
    """macvlan_changelink() refuses to enter and to leave that mode."""
    return PASSTHRU not in (want, have)


class MacvlanTable(LinkTable):
    """A link with a MAC address of its own on a lower link."""

    dev: Name = option("the lower link", wire=LowerLink(), live=False, also=("link",))
    dev_namespace: NamespaceOrHost | None = option(
        "namespace of `dev`", default=None, absent="the link's namespace", wire=LowerNamespace(), live=False
    )
    mode: Literal["bridge", "private", "vepa", "passthru"] = option(
        "which links on the same lower link it exchanges frames with",
        default="bridge",
        wire=Word(MODE, MODES, default="vepa"),
        live=stays_out_of_passthru,
    )

    def check(self) -> None:
        super().check()
        if self.mode == PASSTHRU and self.mac is not None:
            raise ValueError("mac: in passthru mode it has the MAC address of its dev: write mac there")


class MacvlanKind(LinkKind):
    """macvlan/N."""

    name = "macvlan"
    toml = TomlForm(MacvlanTable)
    takes_frames = True

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """In passthru mode it is alone on its lower link (macvlan_common_newlink())."""
        known: dict[str, list[Desired]] = {}
        for one in desired:
            others = known.setdefault(one.fields["dev"], [])
            alone = next((other for other in others if PASSTHRU in (one.fields["mode"], other.fields["mode"])), None)
            if alone is not None:
                text = f"a macvlan in passthru mode is alone on its link, and {alone.key} is on {one.fields['dev']}"
                yield one, alone, f"dev: {text}"
            others.append(one)

    def read_options(self, link: Link, netns: str, view: Links) -> dict[str, Any]:
        found = super().read_options(link, netns, view)
        return {**found, "mac": None} if found["mode"] == PASSTHRU else found

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        owned = super().owned_fields(desired, memory)
        passthru = desired.fields["mode"] == PASSTHRU
        return {key: value for key, value in owned.items() if not (passthru and key == "mac")}

    def remember(self, desired: Desired, memory: Mapping[str, Any], key: bytes) -> Mapping[str, Any]:
        # In passthru mode the kernel gives it the address of its lower link, and sets that one with it.
        return {} if desired.fields["mode"] == PASSTHRU else super().remember(desired, memory, key)
