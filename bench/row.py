"""One line of the table that `python -m bench` prints, and how it is judged. No measuring here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured beside what it is held against.

    Attributes:
        work: what was done, with its size.
        ours: our figure, with its unit.
        peer: the peer's or the limit's figure, with its name; empty where there is only an aim.
        ratio: ours to the peer's, or the figure that the aim is about.
        aim: in words, empty where the row is for information.
        most, least: the bounds of `ratio` that the aim means.
    """

    work: str
    ours: str = ""
    peer: str = ""
    ratio: float = math.nan
    aim: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None where there is none."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.ratio <= self.most) and (self.least is None or self.ratio >= self.least)


HEADINGS = ("work", "ours", "peer or limit", "ratio", "aim", "met?")


def table(rows: Sequence[Row]) -> str:
    """The rows as text in columns."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if math.isnan(row.ratio) else f"{row.ratio:,.0f}" if row.ratio >= 1000 else f"{row.ratio:.3g}"
    met = {None: "", True: "yes", False: "NO"}[row.met]
    return (row.work, row.ours, row.peer, ratio, row.aim, met)
