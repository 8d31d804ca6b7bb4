"""A TCP server that answers every line of a connection with its name; ``lines.py NAME PORT``."""

import socket
import sys
import threading


def answer(name: str, connection: socket.socket) -> None:
    with connection:
        while connection.recv(1000):
            connection.sendall(f"{name}\n".encode())


def main(name: str, port: int) -> None:
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(name, connection), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
