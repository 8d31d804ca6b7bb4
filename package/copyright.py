"""Writes debian/copyright: netd's own part, and one for each library that the package has in its private environment.

``python -I package/copyright.py`` with the Python of that environment. What it says of a library is the library's own
metadata: a library that does not tell its license ends the build. The format is DEP 5:
https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from email.utils import getaddresses
from importlib.metadata import Distribution, distributions
from pathlib import Path

OWN = Path(__file__).resolve().parent / "debian" / "copyright"
LICENSE = OWN.parents[2] / "LICENSE"
#: Below this, seen from the root of the package.
PLACE = f"usr/lib/netd/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
#: Which of the files of a license are kept; the lists of authors are not.
TEXTS = re.compile(r"(LICEN[CS]E|COPYING|NOTICE)", re.IGNORECASE)
HOLDER = re.compile(r"^Copyright\s+(?:\(c\)\s*)?(\d{4}\b.*?)\.?$", re.IGNORECASE | re.MULTILINE)
#: Debian's policy wants this text named, not repeated (12.5).
APACHE = "Apache License\n"
APACHE_TEXT = (
    "On Debian systems the text of the Apache License, Version 2.0, is in /usr/share/common-licenses/Apache-2.0."
)
MIT = "Permission is hereby granted, free of charge"


def indented(text: str) -> Iterator[str]:
    """The lines of a text in a field: each after a space, an empty one as a dot."""
    for line in text.strip("\n").splitlines():
        yield f" {line.rstrip()}" if line.strip() else " ."


def texts(library: Distribution) -> list[str]:
    """What its license files say."""
    found = [file for file in library.files or () if ".dist-info/" in str(file) and TEXTS.match(file.name)]
    return [file.read_text(encoding="utf-8") for file in sorted(found)]


def field(library: Distribution, name: str) -> str:
    """A field of its metadata, "" where it has none."""
    return str((library.metadata.get_all(name) or [""])[0])


def license_name(library: Distribution, said: Iterable[str]) -> str:
    """In DEP 5's words: ``MIT or Apache-2.0``."""
    name = field(library, "License-Expression") or field(library, "License")
    if not name and any(MIT in text for text in said):
        name = "MIT"
    if not name or "\n" in name:
        raise SystemExit(f"package/copyright.py: {field(library, 'Name')} does not say which license it has")
    return re.sub(r" (AND|OR) ", lambda found: found[0].lower(), name)


def holders(library: Distribution, said: Iterable[str]) -> list[str]:
    """Who holds the copyright, as the license files say; where they do not, its authors."""
    # The form that the Apache License ends with has brackets in place of a year.
    found = [holder for text in said for holder in HOLDER.findall(text)]
    authors = [name or address for name, address in getaddresses([field(library, "Author-email")])]
    return list(dict.fromkeys(found)) or [field(library, "Author") or ", ".join(authors)]


def patterns(library: Distribution) -> list[str]:
    """Its files: directories, and what is in none."""
    tops = {file.parts[0] if len(file.parts) == 1 else f"{file.parts[0]}/*" for file in library.files or ()}
    return [f"{PLACE}/{top}" for top in sorted(tops) if not top.startswith((".", "__pycache__"))]


def paragraph(library: Distribution) -> Iterator[str]:
    """What is said of one library."""
    said = texts(library)
    yield from ("", "Files:", *(f" {pattern}" for pattern in patterns(library)))
    yield from ("Copyright:", *(f" {holder}" for holder in holders(library, said)))
    yield f"License: {license_name(library, said)}"
    kept = [APACHE_TEXT if APACHE in text and len(text) > 9000 else text for text in said]
    yield from indented("\n\n".join(dict.fromkeys(kept)))
    yield f"Comment: {field(library, 'Name')} {library.version}"


def document() -> Iterator[str]:
    """The whole file."""
    yield OWN.read_text(encoding="utf-8").rstrip("\n")
    yield from indented(LICENSE.read_text(encoding="utf-8").partition("\n\n")[2])
    others = [each for each in distributions() if field(each, "Name") != "netd"]
    for library in sorted(others, key=lambda each: field(each, "Name").lower()):
        yield from paragraph(library)


if __name__ == "__main__":
    print("\n".join(document()))
