"""Charts as shapes: what is drawn where. The templates write them as SVG without style or script; no HTML here.

Heights are only for the eye, so they may be floats; every amount that is read stands beside them in exact figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Units of the drawing for one bar and the gap after it.
BAR, GAP = 8, 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of a chart; `kind` is its class in the style sheet, `title` what it stands for in words."""

    x: float
    y: float
    width: float
    height: float
    title: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars in a box. `zero`: where the line of zero runs."""

    width: float
    height: float
    zero: float
    bars: Sequence[Bar]


def columns(values: Sequence[tuple[int, str, str]], height: float = 40, bar: float = BAR) -> Chart:
    """Upright bars, (value, title, kind) each, from a line of zero; what is below zero hangs from it."""
    top = max((value for value, _, _ in values), default=0)
    bottom = min((value for value, _, _ in values), default=0)
    top, bottom = max(top, 0), min(bottom, 0)
    unit = height / (top - bottom) if top > bottom else 0.0
    zero = round(top * unit, 2) if unit else height
    bars = []
    for place, (value, title, kind) in enumerate(values):
        size = abs(value) * unit
        # Something that is there must be seen, however small beside the others.
        drawn = max(size, 1.0) if value else 0.0
        y = zero - drawn if value >= 0 else zero
        bars.append(Bar(place * (bar + GAP), round(y, 2), bar, round(drawn, 2), title, kind))
    return Chart(max(len(values) * (bar + GAP) - GAP, bar), height, zero, bars)


def rows(values: Sequence[tuple[int, str, str]], width: float = 240, height: float = 14) -> Sequence[Chart]:
    """One lying bar for each value, all on one scale: for the cell of a table beside the figure."""
    most = max((abs(value) for value, _, _ in values), default=0)
    drawn = []
    for value, title, kind in values:
        size = width * abs(value) / most if most else 0.0
        bar = Bar(0, 0, round(max(size, 1.0) if value else 0.0, 2), height, title, kind)
        drawn.append(Chart(width, height, height, [bar]))
    return drawn


def stacked(parts: Sequence[tuple[int, str, str]], width: float = 240, height: float = 14) -> Chart:
    """One lying bar of several parts, by their size without sign."""
    total = sum(abs(value) for value, _, _ in parts)
    bars, x = [], 0.0
    for value, title, kind in parts:
        size = width * abs(value) / total if total else 0.0
        bars.append(Bar(round(x, 2), 0, round(size, 2), height, title, kind))
        x += size
    return Chart(width, height, height, bars)
