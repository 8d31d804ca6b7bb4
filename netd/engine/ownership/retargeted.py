"""Names that are to stand for another namespace than before: what netd made in the former one keeps a name of its own.

Else nothing would lead to it any more. It is undeclared under that name, and goes as everything undeclared does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netd.engine.ledger import Ledger
from netd.engine.observe.attached import AttachedNamespaces
from netd.kinds import registry
from netd.model.desired import Desired
from netd.model.key import Key, namespace_key


def retarget_namespaces(desired: Mapping[Key, Desired], ledger: Ledger, sources: AttachedNamespaces) -> None:
    """Brings the ledger in line with a new configuration; no name in a file has a "%", the former ones have."""
    names: dict[str, str] = {}
    for key, record in [(key, record) for key, record in ledger.items() if key.is_namespace and key in desired]:
        before, after, identity = record.locator["attach"], desired[key].source, record.identity
        if before == after:
            continue
        data, cookie = desired[key].locator, identity.get("cookie")
        if after and cookie and not record.made and sources.cookie(after) == cookie:
            # The same one, by another way.
            ledger.put(key, replace(record, locator=data, identity={**identity, "attach": after}))
            continue
        if cookie and not record.made:
            names[key.name] = f"{key.name}%{cookie}"
            former = replace(record, locator={**record.locator, "attach": before or sources.entry(key.name)})
            ledger.put(namespace_key(names[key.name]), former)
        # By this identity the name is taken off the former one, where it was netd that gave it.
        named = record.made or "attached" in record.fields
        ledger.put(key, replace(record, locator=data, fields={}, identity=identity if named else {}))
    if not names:
        return
    for key, record in tuple(ledger.items()):
        kind = registry().get(key.kind)
        data = kind.with_renamed_namespaces(record.locator, names) if kind is not None else record.locator
        ledger.put(key._replace(netns=names.get(key.netns, key.netns)), replace(record, locator=data))
        if key.netns in names:
            ledger.forget(key)
