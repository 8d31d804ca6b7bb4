"""Every kind of link, with every option that its table has, on the real kernel and on the fake one.

Nothing here names a kind: what is tested follows from the kinds' own tables.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from netd.engine.ledger import Ledger
from netd.engine.reconciler import Reconciler
from netd.kinds.link.attributes import Word, encode, options
from netd.kinds.link.link_kind import LinkKind
from netd.kinds.link.tunnel import TunnelKind
from netd.model.desired import View
from netd.model.operations import CreateLink, DeleteLink, LinkSettings, SetLink
from tests.fakekernel import FakeKernel, fake_machine
from tests.support.both import On, look
from tests.support.kernel_sandbox import lonely_kernel, shown
from tests.support.labs import declared
from tests.support.link_tables import CARRIER, LINK, OTHER_CARRIER, Case, cases, link_kinds, needed, text_of
from tests.support.snapshot import differences, snapshot

#: Said of an option that this kernel was built without.
UNSUPPORTED = "Operation not supported"
#: A kernel that lacks the kind runs nothing of it: another one does.
each_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.name, marks=pytest.mark.needs_kernel(kind.name)) for kind in link_kinds()]
)


class Netd:
    """netd on one of the two kernels."""

    def __init__(self, kernel: Any, ledger: Path) -> None:
        self.on = On(kernel)
        pair = CreateLink("", CARRIER, "veth", LinkSettings(), "", OTHER_CARRIER, "", LinkSettings())
        ups = [SetLink("", each, LinkSettings(up=True)) for each in (CARRIER, OTHER_CARRIER)]
        for step in (pair, *ups):
            assert self.on.do(step) == 0
        self.engine = Reconciler(kernel, Ledger(str(ledger)))
        self.text = ""

    def take(self, text: str | None = None) -> list[str]:
        """The file says this now (None: as before); what is not ok."""
        self.text = self.text if text is None else text
        self.engine.set_desired(declared(self.text))
        # Nobody listens here: all is read again.
        self.engine.invalidate_all()
        for _ in self.engine.converge():
            pass
        return [f"{row.key} {row.state} {row.reason}" for row in self.engine.statuses() if row.state != "ok"]

    def index(self) -> int:
        return self.on.index("", LINK)


@contextlib.contextmanager
def both(tmp_path: Path) -> Iterator[list[Netd]]:
    with lonely_kernel() as kernel:
        yield [Netd(kernel, tmp_path / "real"), Netd(FakeKernel(fake_machine()), tmp_path / "fake")]


def assert_alike(pair: list[Netd], what: Any) -> None:
    real, fake = (look(each.on.kernel) for each in pair)
    assert not differences(fake, real), what


def as_ip_says(case: Case) -> bool:
    """Whether ip(8) calls the value so, too: netd would read back a wrong number as it wrote it."""
    if not isinstance(options(case.kind.table)[case.key].wire, Word):
        return True
    (link,) = shown(f"ip -j -d link show {LINK}")
    said = link["linkinfo"]["info_data"]
    # ip(8) has other keys for some (ad_lacp_rate), but none for the words of another one; or a word is a flag.
    if case.key in said:
        return bool(said[case.key] == case.value)
    return case.value in said.values() or said.get(case.value) is True


@each_kind
def test_every_option_is_created_changed_and_put_back_in_place_or_by_a_recreation(
    kind: LinkKind, tmp_path: Path
) -> None:
    with both(tmp_path) as pair:
        for case in cases(kind):
            for text in ("", case.text, case.without, case.text):
                before = [each.index() for each in pair]
                real, fake = (each.take(text) for each in pair)
                if any(UNSUPPORTED in reason for reason in real):
                    break
                assert (real, fake) == ([], []), (case, text)
                assert_alike(pair, (case, text))
                assert text != case.text or as_ip_says(case), case
                after = [each.index() for each in pair]
                kept = [one == other for one, other in zip(before, after, strict=True)]
                assert len(set(kept)) == 1, (case, text)
            for each in pair:
                each.take("")
            assert_alike(pair, case)
            assert [each.index() for each in pair] == [0, 0]


DOWN = SetLink("", LINK, LinkSettings(up=False))
HARM = (DOWN, SetLink("", LINK, LinkSettings(name="other0")), SetLink("", LINK, LinkSettings(group=0)))


def declared_fields(text: str) -> Mapping[str, Any]:
    """The fields of the link that a file declares."""
    return next(one.fields for one in declared(text).values() if one.provides)


def defaults(kind: LinkKind) -> Mapping[str, Any]:
    """The options of a new link of netd's where nothing is declared."""
    return {key: option.wire.default for key, option in options(kind.table).items() if option.wire is not None}


def someone_else_wants(case: Case) -> CreateLink | SetLink | None:
    """Another value of an option that can change in place, as somebody would write it behind netd's back."""
    option = options(case.kind.table)[case.key]
    others = [each for each in cases(case.kind) if (each.key, each.without) == (case.key, case.without)]
    for other in others:
        live = option.live(case.value, other.value) if callable(option.live) else option.live
        if other.value != case.value and live:
            fields = declared_fields(case.text)
            # A tunnel is changed as a whole.
            rest = {**defaults(case.kind), **fields} if isinstance(case.kind, TunnelKind) else {}
            info = LinkSettings(info=encode(case.kind.table, {**rest, case.key: other.value}))
            return SetLink("", LINK, info, case.kind.rtnl_kind(fields)) if info.info else None
    return None


@each_kind
def test_what_somebody_changes_is_healed(kind: LinkKind, tmp_path: Path) -> None:
    with both(tmp_path) as pair:
        for case in cases(kind):
            drift = someone_else_wants(case)
            harm = [*HARM, *([drift] if drift is not None else [])]
            for each in pair:
                each.take("")
                if any(UNSUPPORTED in reason for reason in each.take(case.text)):
                    break
                index, right = each.index(), snapshot(each.on.kernel)
                for operation in harm:
                    code = each.on.do(operation)
                    if code == errno.EOPNOTSUPP and operation is drift:
                        continue
                    if code == errno.EBUSY:
                        # Not while it is up: some options, and before 6.2 its name.
                        assert each.on.do(DOWN) == 0
                        code = each.on.do(operation)
                    assert code == 0, (case, operation)
                    if operation is drift and not differences(snapshot(each.on.kernel), right):
                        continue  # one option keeps the other: a TTL sets "don't fragment"
                    assert differences(snapshot(each.on.kernel), right), (case, operation)
                    assert each.take() == [], (case, operation)
                    assert not differences(snapshot(each.on.kernel), right), (case, operation)
                assert each.index() == index, case
                assert each.on.do(DeleteLink("", index)) == 0
                assert each.take() == [], case
                assert not differences(snapshot(each.on.kernel), right), case


@each_kind
def test_a_link_that_is_there_already_is_adopted_and_left(kind: LinkKind, tmp_path: Path) -> None:
    text = text_of(kind, needed(kind.table))
    one = next(one for one in declared(text).values() if one.provides)
    view: View = None  # type: ignore[assignment]
    made = kind.create(one, view, {})[0].operation
    assert isinstance(made, CreateLink)
    with both(tmp_path) as pair:
        for each in pair:
            theirs = CreateLink(
                "", LINK, made.kind, LinkSettings(info=made.settings.info), made.dev, made.peer_name, made.peer_netns,
                dev_option=made.dev_option,
            )  # fmt: skip
            assert each.on.do(theirs) == 0
            index = each.index()
            assert each.take(text) == []
            assert each.take("") == []
            assert each.index() == index
        assert_alike(pair, kind.name)
