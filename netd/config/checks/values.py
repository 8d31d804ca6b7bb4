"""The types of values in checks: times, percentages, targets; each in one form."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from netd.kinds.base.values import Form, canonical_address, namespace_or_host

#: As tc(8) writes times.
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m)")
PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
HOST_PORT = re.compile(r"(?:\[(?P<bracketed>[^\]]*)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
#: A host name, or the name of a namespace.
HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")


def duration(text: str) -> str:
    """A time with its unit; ``seconds`` has its value."""
    if not DURATION.fullmatch(text):
        raise ValueError(f"'{text}' is not a time: write a number and its unit, such as 500ms, 5s or 1m")
    return text


def seconds(text: str) -> float:
    """The seconds of a valid time."""
    found = DURATION.fullmatch(text)
    assert found is not None, text
    return float(found[1]) * UNITS[found[2]]


def percentage(text: str) -> str:
    """A percentage; ``share`` has its value."""
    found = PERCENT.fullmatch(text)
    if not found or float(found[1]) > 100:
        raise ValueError(f"'{text}' is not a percentage, such as 10%")
    return text


def share(text: str) -> float:
    """0.1 for "10%"."""
    return float(text.removesuffix("%")) / 100


def host(text: str) -> str:
    """An address, a host name, or the name of a namespace."""
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        return canonical_address(text)
    if not HOST.fullmatch(text):
        raise ValueError(f"'{text}' is neither an address nor a name of a host or namespace")
    return text


def host_and_port(text: str) -> str:
    """ "HOST:PORT", with an IPv6 address in brackets."""
    found = HOST_PORT.fullmatch(text)
    if not found or not 0 < int(found["port"]) < 65536:
        raise ValueError(f"'{text}' is not HOST:PORT, such as 10.0.0.1:80 or [fd00::1]:80")
    host(found["bracketed"] or found["host"])
    return text


def split(text: str) -> tuple[str, int]:
    """The host and the port of a valid "HOST:PORT"."""
    found = HOST_PORT.fullmatch(text)
    assert found is not None, text
    return host(found["bracketed"] or found["host"]), int(found["port"])


def server(text: str) -> str:
    """A DNS server: an address, or one with a port."""
    return host_and_port(text) if HOST_PORT.fullmatch(text) else canonical_address(text)


def url(text: str) -> str:
    """An http or https URL."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"'{text}' is not a URL, such as http://10.0.0.1:8080/path")
    host(urlsplit(text).hostname or "")
    return text


def dns_name(text: str) -> str:
    """A name to ask for."""
    if not re.fullmatch(r"(?=.{1,254}$)[A-Za-z0-9_*-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", text):
        raise ValueError(f"'{text}' is not a DNS name")
    return text


def words(value: list[str]) -> list[str]:
    """A command and its arguments."""
    if not value or not value[0]:
        raise ValueError('must be a command and its arguments, such as ["test", "-e", "/run/x"]')
    return value


Duration = Annotated[str, Form(duration, "time", r"^[0-9.]+(us|ms|s|m)$")]
Percentage = Annotated[str, Form(percentage, "percentage", r"^[0-9.]+%$")]
Host = Annotated[str, Form(host, "address or name")]
HostPort = Annotated[str, Form(host_and_port, '`"HOST:PORT"`', r"^.+:[0-9]+$")]
Server = Annotated[str, Form(server, "address, or address and port")]
Url = Annotated[str, Form(url, "URL", r"^https?://")]
DnsName = Annotated[str, Form(dns_name, "name")]
Command = Annotated[list[str], Form(words)]
From = Annotated[str, Form(namespace_or_host, "namespace")]
