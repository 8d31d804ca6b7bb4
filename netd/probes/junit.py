"""Results as JUnit XML, which build servers read."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from collections.abc import Sequence

from .run import Result

#: XML 1.0 has no other control characters.
ALLOWED = "\t\n\r"


def junit(results: Sequence[Result]) -> bytes:
    """One test suite; the class of a case is the file of its check."""
    failures = sum(not each.holds for each in results)
    counts = {"tests": str(len(results)), "failures": str(failures), "errors": "0"}
    time = f"{max((each.seconds for each in results), default=0):.3f}"
    root = xml.Element("testsuites", counts | {"time": time})
    suite = xml.SubElement(root, "testsuite", {"name": "netd"} | counts | {"time": time})
    for each in results:
        names = {"name": text(each.check.name), "classname": text(each.check.origin.file)}
        case = xml.SubElement(suite, "testcase", names | {"time": f"{each.seconds:.3f}"})
        if not each.holds:
            failure = xml.SubElement(case, "failure", {"message": text(each.said)})
            failure.text = f"{text(each.check.origin.file)}: {text(each.said)}"
    written: bytes = xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def text(value: str) -> str:
    """A text without characters that XML does not have."""
    return "".join(each if each.isprintable() or each in ALLOWED else "\N{REPLACEMENT CHARACTER}" for each in value)
