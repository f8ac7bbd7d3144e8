"""Runs whole processes side by side, and measures each by what the kernel says of it."""

import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Command:
    """One thing that is compared. Whatever may differ from round to round is a function of it."""

    name: str
    argv: Callable[[int], Sequence[object]]
    env: Callable[[int], Mapping[str, str]] = lambda _: {}
    stdin: Callable[[int], Path] = lambda _: Path(os.devnull)
    # Done before each round, and not measured.
    prepare: Callable[[int], object] = lambda _: None
    # Whether the first run did what it should: given its round and its standard output.
    check: Callable[[int, bytes], bool] = lambda _round, _out: True


@dataclass
class Sample:
    """What one run cost."""

    wall: float  # seconds
    cpu: float  # seconds, of the process and the children that it waited for
    peak: int  # bytes of resident memory


@dataclass
class Line:
    """The runs of one command."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(getattr(sample, what) for sample in self.samples)

    def least(self, what: str) -> float:
        return min(getattr(sample, what) for sample in self.samples)

    def ratio(self, other: "Line", what: str) -> float:
        """How often this takes the other's time: the median over the rounds, of which each has
        both, so that what slows a round down slows both."""
        return statistics.median(
            getattr(a, what) / max(getattr(b, what), 1e-9)
            for a, b in zip(self.samples, other.samples)
        )


class Failed(Exception):
    """A command that did not do what it should; its line is left out."""


class Runner:
    """Runs commands in an environment of their own."""

    def __init__(self, scratch: Path, env: Mapping[str, str], say: Callable[[str], None]):
        self.scratch = scratch
        self.env = dict(env)
        self.say = say

    def once(
        self, command: Command, number: int = 0, out: Path = Path(os.devnull), check: bool = False
    ) -> Sample:
        """Runs it once; with `check`, what it wrote to `out` has to be right."""
        command.prepare(number)
        argv = [str(word) for word in command.argv(number)]
        errors = self.scratch / "stderr"
        to = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, command.stdin(number), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, out, to, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, errors, to, 0o600),
        ]
        env = self.env | dict(command.env(number))
        began = time.perf_counter()
        try:
            pid = os.posix_spawnp(argv[0], argv, env, file_actions=actions)
        except OSError as error:
            raise Failed(str(error)) from error
        _, status, used = os.wait4(pid, 0)
        wall = time.perf_counter() - began
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            said = errors.read_text(errors="replace").strip().splitlines()
            raise Failed(f"exit {code}: {said[0] if said else 'without a word'}")
        if check and not command.check(number, out.read_bytes() if out.is_file() else b""):
            raise Failed("its result is not what was asked for")
        return Sample(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)

    def do(self, *argv: object, **options) -> bytes:
        """Runs something that is not measured, and gives what it printed."""
        stdin, env = options.get("stdin", Path(os.devnull)), options.get("env", {})
        command = Command(str(argv[0]), lambda _: argv, lambda _: env, lambda _: stdin)
        out = self.scratch / "stdout"
        self.once(command, out=out)
        return out.read_bytes()

    def paired(
        self, commands: Sequence[Command], seconds: float, least: int = 5, most: int = 60
    ) -> dict[str, Line]:
        """Runs all commands in turn, A B C A B C, for about `seconds`; at least `least` rounds and
        at most `most`. What fails, or does not do what it should, is told and left out."""
        good = []
        # Counted from below zero, so that nothing of the trial run is in the way of the first round.
        for command in commands:
            try:
                self.once(command, -1, self.scratch / "checked", check=True)
                good.append(command)
            except Failed as failed:
                self.say(f"left out: {command.name}: {failed}")
        lines = {command.name: Line(command.name) for command in good}
        until = time.monotonic() + seconds
        for number in range(most):
            if number >= least and time.monotonic() > until:
                break
            for command in list(good):
                try:
                    lines[command.name].samples.append(self.once(command, number))
                except Failed as failed:
                    self.say(f"left out: {command.name}: {failed}")
                    good.remove(command)
                    del lines[command.name]
        return lines


def floor_of_peak() -> int:
    """A child is charged with the memory that this process had when it was made, so peaks below
    that mean nothing."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
