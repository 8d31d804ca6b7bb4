"""Every kind of link, as its own table describes it: killed at any step, and whatever its options are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netd.config.parse.parser import parse
from netd.kinds.base.options import fields_of
from netd.kinds.base.reading import read
from netd.kinds.link.link_kind import LinkKind
from tests.support.fuzzing import tried
from tests.support.link_tables import cases, examples, link_kinds, needed, text_of
from tests.support.snapshot import differences
from tests.support.world import Killed, world

KINDS = link_kinds()


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_kill_at_any_step_leads_to_the_same_end_and_leaves_nothing(kind: LinkKind) -> None:
    texts = ["", text_of(kind, needed(kind.table)), *(case.text for case in cases(kind)), ""]
    step, killed = 0, True
    while killed:
        step, killed = step + 1, False
        with world() as each:
            left = step

            def count(what: str) -> None:
                nonlocal left
                left -= 1
                if not left:
                    raise Killed

            for text in texts:
                each.hand.step = count
                try:
                    each.take(text)
                except Killed:
                    killed = True
                    each.hand.step = lambda what: None
                    each.restart()
                each.settle()
                assert not each.states() and not each.differing(), (step, text)
            assert not differences(each.look(), each.foreign), step
        # Each step of the first changes, then some of the rest.
        step += step // 8
    assert step > 3


@tried(100)
@given(st.data(), st.sampled_from(KINDS))
def test_a_table_is_taken_where_its_model_takes_it(data: st.DataObject, kind: LinkKind) -> None:
    fields = fields_of(kind.table)
    chosen = data.draw(st.lists(st.sampled_from(sorted(fields)), unique=True))
    found = {key: data.draw(st.sampled_from(values)) for key in chosen if (values := list(examples(fields[key].type)))}
    keys = needed(kind.table) | found
    taken = not isinstance(read(kind.table, keys), list)
    parsed = parse("x.toml", text_of(kind, keys).encode())
    if not taken:
        assert parsed.problems
    elif not parsed.problems:
        # What fits into a table may be refused for what it declares: then that is told.
        assert any(one.key.kind == kind.name and one.provides for one in parsed.objects)
