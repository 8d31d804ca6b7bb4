"""The kinds of messages in the journal: their MESSAGE_ID, and their priority as in syslog(3).

The identifiers never change: ``journalctl MESSAGE_ID=...`` and units/netd.catalog (``journalctl -x``) know them.
"""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """``id``: 128 bits, journalctl --new-id128. ``priority``: 3 error, 4 warning, 5 notice, 6 info."""

    id: str
    priority: int


MESSAGES = {
    "started": Message("fdb8a7908e1847ad8f276a27800f90e5", 6),
    "ready": Message("f233f92c98d74d04b93efc80e6704e0f", 6),
    "stopped": Message("c05b1e92b36c40cc9fafb118c0dec174", 6),
    "created": Message("82ffac9100714acfbb8466c4d754e6d1", 6),
    "changed": Message("40d97a01de0d4a739cec42068d285d0b", 6),
    "removed": Message("db568b12bcb34ff085e4a2e0d4bc9445", 6),
    "repaired": Message("572dde4d81d340a8ad512a54a22493ea", 5),
    "refused": Message("c1a7c53ef1e6428e85def5e3098343f7", 3),
    "contended": Message("efe6f87db3194c01a78c47c18ad5db62", 4),
    "conflict": Message("69806e95173044e98862d914b0f6bf5d", 3),
    "diverged": Message("2751b08baa3e427084b3ef412727ef48", 4),
    "pending": Message("2657434e09f04e67a4f70427332110c0", 6),
    "recovered": Message("8cf30f88b6de40ef81605f083a985ea0", 6),
    "invalid": Message("9e394b63b0994c3d907e85af9f3d3021", 3),
    "warned": Message("895f054d78224c7eb607dc929c3e2377", 4),
    "stranded": Message("cdced4ddf2c748f2a5fadd47d22964dd", 4),
    "unwritten": Message("aff0f4e24e364ea3bcf03c4b2774a212", 3),
    "lost": Message("9896e026491740948b91afb9914e10be", 4),
    "pass_failed": Message("9e47b3df523a4b299176c57717907832", 3),
    "tried": Message("2f6d1c4be0a9453d9b1e7f0c5a8d3e16", 5),
    "fault": Message("5d2f0b1c9a7e4c6fb3a8e1d47c60f295", 5),
}
