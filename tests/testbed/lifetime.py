"""How long a program of the test bed lives: until its standard input ends, and never long."""

import os
import signal
import subprocess
import sys
from typing import NoReturn

STARTED_WITHIN = 60
AT_MOST = 15 * 60


class End(Exception):
    """It is time to stop everything."""


def begin() -> None:
    """From now on a signal, or too long a start, raises `End` in the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, end)
    signal.alarm(STARTED_WITHIN)


def end(number: int, _frame: object) -> NoReturn:
    # One is enough; a second one must not disturb the cleaning up.
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(other, signal.SIG_IGN)
    raise End(signal.Signals(number).name)


def wait() -> None:
    """Waits for the end of standard input, for 15 minutes at most."""
    signal.alarm(AT_MOST)
    while os.read(sys.stdin.fileno(), 4096):
        pass


def child(*command: object, **rest: object) -> subprocess.Popen:
    """Starts a program that the kernel ends if this one dies without having ended it."""
    guarded = ["setpriv", "--pdeathsig", "TERM", *map(str, command)]
    return subprocess.Popen(guarded, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **rest})


def stop(process: subprocess.Popen) -> None:
    """Ends a child and waits for it."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
