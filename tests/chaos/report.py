"""What a campaign reports, and the table of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.chaos.oracle import Judged
from tests.chaos.world import Run


@dataclass
class Tally:
    """One line of the table: a fault, and what came of it in all its runs.

    Attributes:
        hits: how often the fault happened, where it is no kill. skipped: why it could not be tried here.
    """

    fault: str
    runs: int = 0
    workers: int = 0
    kills: int = 0
    hits: int = 0
    documents: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    skipped: str = ""

    def add(self, run: Run, seconds: float, judged: Judged, hits: int = 0) -> None:
        """One run's result."""
        self.runs += 1
        self.workers += run.workers
        self.kills += run.kills
        self.hits += hits
        self.documents += len(run.planned.wanted)
        self.seconds.append(seconds)
        for name, found in vars(judged).items():
            self.wrong[name] += len(found)
        self.words += judged.words()

    @property
    def clean(self) -> bool:
        return not self.words


_HEAD = (
    "fault", "runs", "workers", "kills", "faults", "documents", "duplicates", "losses", "differing", "other",
    "clean after, median s", "worst s",
)  # fmt: skip


def table(tallies: Sequence[Tally]) -> str:
    """Markdown. `other` counts orphans, open intents, and what is wrong with crosswalk and audit chain."""
    rows = [_HEAD, *(_row(tally) for tally in tallies)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    lines += [f"\nnot tried: {tally.fault}: {tally.skipped}" for tally in tallies if tally.skipped]
    return "\n".join(lines)


def _row(tally: Tally) -> tuple[str, ...]:
    if tally.skipped:
        return (tally.fault, "not tried", *[""] * (len(_HEAD) - 2))
    if not tally.seconds:
        return (tally.fault, "broke off", *[""] * (len(_HEAD) - 2))
    wrong = tally.wrong
    other = wrong["orphans"] + wrong["open"] + wrong["store"]
    counts = (tally.runs, tally.workers, tally.kills, tally.hits, tally.documents, wrong["duplicates"], wrong["losses"],
              wrong["differing"], other)  # fmt: skip
    return (tally.fault, *map(str, counts), f"{median(tally.seconds):.1f}", f"{max(tally.seconds):.1f}")
