"""A client that keeps one source port: 20 datagrams a second, and each answer on a line of its own.

``stream.py udp ADDRESS PORT`` answers what the server says; ``stream.py tcp ADDRESS PORT`` sends a line on one
connection and prints the answer, or why the connection ended.
"""

import socket
import sys
import time


def main(protocol: str, address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        client = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        try:
            client.connect((address, port))
            break
        except OSError:
            # The rule, or the server, is not there yet.
            client.close()
            time.sleep(0.05)
    client.settimeout(0.05)
    while True:
        try:
            client.sendall(b"?\n")
            print(client.recv(1000).decode().strip() or "closed", flush=True)
        except TimeoutError:
            print("nothing", flush=True)
        except OSError as error:
            print(error.strerror, flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
