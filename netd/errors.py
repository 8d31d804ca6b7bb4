"""Every exception that netd raises on purpose.

::

    NetdError
    ├── ConfigError          a file cannot be taken: fix the file            (give up until the config changes)
    ├── UsageError           the command line, or the machine, is not ready  (give up; the message says what to do)
    ├── Busy                 another netd holds the state directory          (give up; names the holder)
    ├── Silent               the daemon runs and does not answer             (give up; says how to look at it)
    └── KernelError          the kernel refused one operation
        ├── Changed          "changed under us": ENODEV, EEXIST, ENOENT      (read again at once)
        └── Refused          any other errno, with the extended ack's text   (retry with backoff)
            └── Unforeseen   any other exception because of one object       (the same; says where)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class NetdError(Exception):
    """The base class: its text is meant for an operator and says what to do next."""


class ConfigError(NetdError):
    """A configuration file, or directory, that cannot be used."""


class UsageError(NetdError):
    """A wrong command line, or a machine on which the command cannot work."""


class Busy(NetdError):
    """Another netd works on the same state directory."""


class Silent(NetdError):
    """The daemon does not answer in time."""


class KernelError(NetdError):
    """One operation that the kernel refused.

    ``code`` is the positive errno, ``text`` the kernel's extended ack ("" where it gave none).
    """

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.text = text
        name = os.strerror(code)
        super().__init__(f"{name}: {text}" if text else name)


class Changed(KernelError):
    """The kernel's state has changed since it was read."""


class Refused(KernelError):
    """The kernel refuses this operation."""


class Unforeseen(Refused):
    """An unexpected exception: because of text from outside, or of a bug in netd.

    Only the object that caused it fails.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(errno.EBADMSG, f"{type(error).__name__}: {str(error)[:300]} ({thrown_at(error)})")
        self.__cause__ = error


def thrown_at(error: BaseException) -> str:
    """Where: "decode.py:52"."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "netd"


def as_refusal(error: Exception) -> KernelError:
    """Any exception of reading or writing, as an error of one object."""
    return error if isinstance(error, KernelError) else Unforeseen(error)


CHANGED = frozenset({errno.ENODEV, errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.ENXIO})


def kernel_error(code: int, text: str = "") -> KernelError:
    """The exception for a positive errno."""
    return Changed(code, text) if code in CHANGED else Refused(code, text)


@contextmanager
def as_kernel_error(what: str) -> Iterator[None]:
    """An OSError of the kernel's as the exception that a caller expects; ``what`` was being done."""
    try:
        yield
    except OSError as error:
        raise kernel_error(error.errno or errno.EIO, what) from None
