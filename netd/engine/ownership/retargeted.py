"""Names that are to be another namespace than before: what netd created in the former one gets a name of its own.

Otherwise nothing would lead to it any more. Under that name it is undeclared, and is removed as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netd.engine.ledger import Ledger
from netd.engine.observe.attached import AttachedNamespaces
from netd.kinds import registry
from netd.kinds.link.link_kind import LinkKind
from netd.model.desired import Desired
from netd.model.key import Key, namespace_key


def retarget_namespaces(desired: Mapping[Key, Desired], ledger: Ledger, attached: AttachedNamespaces) -> None:
    """Adapts the ledger to a new configuration. The names of former namespaces have a "%", those in files cannot."""
    names: dict[str, str] = {}
    for key, record in [(key, one) for key, one in ledger.items() if key.is_namespace and key in desired]:
        before, after, identity = record.locator["attach"], desired[key].source, record.identity
        if before == after:
            continue
        locator, cookie = desired[key].locator, identity.get("cookie")
        if after and cookie and not record.made and attached.cookie(after) == cookie:
            # The same namespace, found elsewhere.
            ledger.put(key, replace(record, locator=locator, identity={**identity, "attach": after}))
            continue
        if cookie and not record.made:
            names[key.name] = f"{key.name}%{cookie}"
            former = replace(record, locator={**record.locator, "attach": before or attached.entry(key.name)})
            ledger.put(namespace_key(names[key.name]), former)
        # By this identity the name is removed from the former one, if netd gave it.
        named = record.made or "attached" in record.fields
        ledger.put(key, replace(record, locator=locator, fields={}, identity=identity if named else {}))
    if not names:
        return
    for key, record in tuple(ledger.items()):
        kind = registry().get(key.kind)
        locator = record.locator
        if isinstance(kind, LinkKind):
            locator = kind.with_renamed_namespaces(locator, names)
        ledger.put(key._replace(netns=names.get(key.netns, key.netns)), replace(record, locator=locator))
        if key.netns in names:
            ledger.forget(key)
