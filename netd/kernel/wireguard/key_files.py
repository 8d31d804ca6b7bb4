"""Files with keys, as wg(8) writes them: read, and a private one created where there is none. No text has a key."""

from __future__ import annotations

import base64
import contextlib
import errno
import os

from netd.errors import kernel_error
from netd.model.wireguard import KEY_BYTES, KeyFile, clamped, digest, key_bytes

#: More is no key.
LONGEST = 4096


def read(path: str) -> bytes | None:
    """The key in a file, None where there is no file; ValueError or OSError, which do not have it."""
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST)
    except FileNotFoundError:
        return None
    return key_bytes(text.decode("ascii", errors="replace").strip())


def look(path: str) -> KeyFile | None:
    """The digests of the key in a file, None where there is no file."""
    try:
        key = read(path)
    except ValueError as error:
        return KeyFile(trouble=f"{path}: {error}")
    except OSError as error:
        return KeyFile(trouble=f"{path}: {error.strerror}")
    return None if key is None else KeyFile(digest(clamped(key)), digest(key))


def needed(path: str) -> bytes:
    """The key in a file; KernelError."""
    try:
        key = read(path)
    except ValueError as error:
        raise kernel_error(errno.EINVAL, f"{path}: {error}") from None
    except OSError as error:
        raise kernel_error(errno.EACCES, f"{path}: {error.strerror}") from None
    if key is None:
        raise kernel_error(errno.EACCES, f"{path}: there is no such file")
    return key


def read_or_create(path: str, present: bytes) -> bytes:
    """The private key in a file; where there is none, it is written: ``present``, or (b"") a new one. KernelError."""
    with contextlib.suppress(OSError, ValueError):
        found = read(path)
        if found is not None:
            return clamped(found)
    if os.path.lexists(path):
        return clamped(needed(path))
    key = present or clamped(os.urandom(KEY_BYTES))
    draft = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, base64.b64encode(key) + b"\n")
            os.fsync(descriptor)
            # A file that appeared meanwhile stays.
            os.link(draft, path)
        finally:
            os.close(descriptor)
            os.unlink(draft)
    except FileExistsError:
        return clamped(needed(path))
    except OSError as error:
        hint = ": create it with wg genkey, or below /var/lib/netd" if error.errno == errno.EROFS else ""
        raise kernel_error(errno.EACCES, f"{path}: {error.strerror}{hint}") from None
    return key
