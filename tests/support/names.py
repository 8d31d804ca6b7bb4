"""A DNS server for tests: ``names.py NAME=ADDRESS...`` answers on port 53 of UDP, and prints "ready"."""

from __future__ import annotations

import socket
import sys

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


def answer(question: dns.message.Message, known: dict[str, str]) -> dns.message.Message:
    """The address of the name that is asked for, NXDOMAIN for others."""
    made = dns.message.make_response(question)
    asked = question.question[0]
    address = known.get(asked.name.to_text(omit_final_dot=True))
    if address is None:
        made.set_rcode(dns.rcode.NXDOMAIN)
    elif asked.rdtype == (28 if ":" in address else 1):
        made.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "AAAA" if ":" in address else "A", address))
    return made


def main() -> None:
    known = dict(word.split("=", 1) for word in sys.argv[1:])
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", 53))
    print("ready", flush=True)
    while True:
        data, client = server.recvfrom(4096)
        server.sendto(answer(dns.message.from_wire(data), known).to_wire(), client)


if __name__ == "__main__":
    main()
