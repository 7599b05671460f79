"""Runs a program for as long as whoever started this one lives and holds its standard input open.

    python -m xlreg._supervise PROGRAM ARGUMENT…

So a registry that a test started ends with the test, even if that is killed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

_PATIENCE = 12.0  # a registry ends within ten seconds of being asked to


def _end(child: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()


def main(command: list[str]) -> int:
    """Run the command, and return its exit code."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:  # noqa: S603
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # Ctrl-C is for the tests, which then close the input
        threading.Thread(target=_end, args=(child,), daemon=True).start()
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
