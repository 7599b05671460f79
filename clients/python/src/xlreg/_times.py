"""How long a client waits for what, unless the caller says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds. README.md has a table of what follows from them for each call, and the tests hold it.

    Attributes:
        apart: From one endpoint of a registry to the next, while none has completed a handshake and
            none has failed. Each handshake costs the registry something, also one too many.
        spread: From the first endpoint to the last; where there are many, they are closer together.
        connect: Until an endpoint has taken a connection.
        shake: In a handshake, from one sign of life to the next.
        shaken: Until a handshake is done.
        dial: Until there is a session, for Client.connect.
        silence: From one sign of life to the next, where an answer is due. After it the
            connection counts as dead: its other end may have lost its power, or something
            between may have forgotten the connection.
        wait: For how long a registry is asked to wait for members at a time. It then answers
            with those that are there, so a wait has signs of life as well.
        whole: Until an answer is there to its last byte, however slowly it comes; a roster of
            32 members has 70 kilobytes.
        bye: Until a registry has answered a goodbye.
        stranger: From one look for a registry to the next, at most, while somebody else answers at
            its address.
    """

    apart: float = 0.5
    spread: float = 3.0
    connect: float = 5.0
    shake: float = 10.0
    shaken: float = 60.0
    dial: float = 30.0
    silence: float = 30.0
    wait: float = 25.0
    whole: float = 300.0
    bye: float = 1.0
    stranger: float = 30.0
