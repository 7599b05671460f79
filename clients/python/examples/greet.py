"""A member that greets every other member over mutual TLS, and is greeted by each.

    python greet.py REGISTRY NODE_DIR CLUSTER SIZE

prints ``to NAME`` for each member greeted and ``from NAME`` for each that greeted
this one. Members that came over a classic carrier have no certificate, and are left
out. It ends when it has greeted, and was greeted by, all the others.
"""

from __future__ import annotations

import socket
import sys
import threading

import xlreg


def main(registry: str, directory: str, cluster: str, size: int) -> None:
    """Form the cluster and greet."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, xlreg.Node.ensure(directory) as node:
        me = xlreg.form(
            registry,
            node=node,
            cluster=cluster,
            size=size,
            listeners=[listener],
            timeout=60,
            allow_unverified=True,  # they are not greeted
        )
        others = [m for m in me.others if m.verified]
        host = threading.Thread(target=be_greeted, args=(me, listener, len(others)))
        host.start()
        for member in others:
            greet(me, member)
        host.join()


def greet(me: xlreg.Membership, member: xlreg.Member) -> None:
    """Say hello to one member, and make sure that it is the one that answers."""
    endpoint = member.endpoints[0]
    with (
        socket.create_connection((endpoint.host, endpoint.port), timeout=30) as plain,
        me.client_context(member).wrap_socket(plain) as tls,
        tls.makefile("rw", encoding="utf-8") as stream,
    ):
        stream.write(f"hello from {me.me.name}\n")
        stream.flush()
        if stream.readline() != f"hello {me.me.name}\n":
            raise SystemExit(f"no greeting from {member.name}")
    say(f"to {member.name}")


def say(line: str) -> None:
    """Print a line in one piece: two threads do it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def be_greeted(me: xlreg.Membership, listener: socket.socket, times: int) -> None:
    """Answer this many greetings, each of which must come from the member that it names."""
    context = me.server_context()
    for _ in range(times):
        plain, _address = listener.accept()
        with (
            plain,
            context.wrap_socket(plain, server_side=True) as tls,
            tls.makefile("rw", encoding="utf-8") as stream,
        ):
            guest = me.peer(tls)
            if stream.readline() != f"hello from {guest.name}\n":
                raise SystemExit(f"{guest.name} says it is someone else")
            stream.write(f"hello {guest.name}\n")
            stream.flush()
        say(f"from {guest.name}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
