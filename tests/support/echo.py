"""A server that tells its clients who they are, and a client of it.

``echo.py serve NAME PORT...`` answers on TCP and UDP with ``NAME CLIENT PORT``; ``echo.py ask PROTOCOL ADDRESS PORT``
prints that answer.
"""

import selectors
import socket
import sys


def listen(kind: socket.SocketKind, port: int) -> socket.socket:
    """A socket for both families, or for IPv4 where IPv6 is turned off."""
    for family, anywhere in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
        server = socket.socket(family, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind((anywhere, port))
        except OSError:
            server.close()
            continue
        if kind == socket.SOCK_STREAM:
            server.listen()
        return server
    raise SystemExit(f"nobody can listen on port {port}")


def serve(name: str, ports: list[int]) -> None:
    ready = selectors.DefaultSelector()
    for port in ports:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            ready.register(listen(kind, port), selectors.EVENT_READ, port)
    print("ready", flush=True)
    while True:
        for found, _ in ready.select():
            server, port = found.fileobj, found.data
            assert isinstance(server, socket.socket)
            if server.type == socket.SOCK_STREAM:
                connection, peer = server.accept()
                with connection:
                    connection.sendall(answer(name, peer[0], port))
            else:
                _, peer = server.recvfrom(100)
                server.sendto(answer(name, peer[0], port), peer)


def answer(name: str, peer: str, port: int) -> bytes:
    return f"{name} {peer.removeprefix('::ffff:')} {port}\n".encode()


def ask(protocol: str, address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect((address, port))
        client.send(b"?\n")
        print(client.recv(1000).decode(), end="")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], [int(port) for port in sys.argv[3:]])
    else:
        try:
            ask(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        except OSError as error:
            raise SystemExit(str(error)) from None
