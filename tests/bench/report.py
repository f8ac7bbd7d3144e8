"""Tables in Markdown, and which targets were met."""

import statistics
import sys
from dataclasses import dataclass, field

from measure import Line, floor_of_peak


@dataclass
class Target:
    """A ratio of walls, or another number, that was aimed at."""

    work: str
    what: str
    limit: float
    found: float
    cpu: float | None = None  # the same ratio of CPU times, which a busy machine disturbs less
    unit: str = "x"

    def row(self) -> str:
        cpu = "" if self.cpu is None else f"{self.cpu:.2f}x"
        return (
            f"| {self.work} | {self.what} | {self.limit:g}{self.unit} "
            f"| {self.found:.2f}{self.unit} | {cpu} | {self.verdict()} |"
        )

    def verdict(self) -> str:
        if self.found <= self.limit:
            return "met"
        if self.unit == "x":
            return f"missed by a factor of {self.found / self.limit:.2f}"
        return f"missed by {self.found - self.limit:.1f}{self.unit}"


@dataclass
class Report:
    """What goes to standard output as it is found, and the targets that are kept for the end."""

    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def print(self, text: str = "") -> None:
        print(text, flush=True)

    def say(self, text: str) -> None:
        """Something that belongs below the table that comes next."""
        self.notes.append(text)

    def progress(self, text: str) -> None:
        print(f"# {text}", file=sys.stderr, flush=True)

    def table(self, title: str, lines: dict[str, Line], subject: str) -> None:
        """One row a command. The last columns say how often the subject takes that one's time."""
        self.print(f"\n### {title}\n")
        ours = lines.get(subject)
        rounds = {len(line.samples) for line in lines.values()}
        self.print(f"| | wall, median | wall, least | CPU | peak | {subject} / this: wall | CPU |")
        self.print("|---|--:|--:|--:|--:|--:|--:|")
        floor = floor_of_peak()
        for line in lines.values():
            peak = max(sample.peak for sample in line.samples)
            ratios = ["", ""]
            if ours and line is not ours:
                ratios = [f"{ours.ratio(line, what):.2f}x" for what in ("wall", "cpu")]
            cells = [
                line.name,
                duration(line.median("wall")),
                duration(line.least("wall")),
                duration(statistics.fmean(sample.cpu for sample in line.samples)),
                f"{peak / 1e6:.0f} MB" if peak > floor * 1.05 else "-",
                *ratios,
            ]
            self.print("| " + " | ".join(cells) + " |")
        if rounds:
            self.print(f"\n{min(rounds)} rounds." if len(rounds) == 1 else "")
        for note in self.notes:
            self.print(f"- {note}")
        self.notes.clear()

    def target(
        self, work: str, what: str, limit: float, ours: Line | None, other: Line | None
    ) -> None:
        """Aims at a ratio of the walls of two lines, if both are there."""
        if ours and other:
            found, cpu = (ours.ratio(other, cost) for cost in ("wall", "cpu"))
            self.targets.append(Target(work, what, limit, found, cpu))

    def all_targets(self) -> None:
        self.print("\n## Targets\n")
        self.print("| work | against | target | wall | CPU | |")
        self.print("|---|---|--:|--:|--:|---|")
        for target in self.targets:
            self.print(target.row())


def duration(seconds: float) -> str:
    """Three figures."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms"
