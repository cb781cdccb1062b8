"""The coverage table: how often each fault met each place. An empty cell that can be met makes a long run fail.

Every plan is made around one cell, in turn (seeds.py), but a plan can miss: a worker dies before the point is reached,
the clock must not be set at that moment. So the table is asked for only from ENOUGH schedules on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tieout.delivery.simulation.faults import Cell, impossible, possible

#: Schedules from which every possible cell must have been met: each cell is then the aim of at least four of them.
ROUNDS = 4
ENOUGH = ROUNDS * len(possible())
_TITLES = {
    "send": "Faults of a send, by operation",
    "look_up": "Faults of a look-up, by operation",
    "found": "What a look-up showed, by operation",
    "point": "Blows to a worker, by named point",
    "act": "What the source and people did, by the state of the intent",
}


def unmet(met: Mapping[Cell, int]) -> list[Cell]:
    """Possible cells that were never met, in their order."""
    return [cell for cell in possible() if not met.get(cell)]


def table(met: Counter[Cell]) -> list[str]:
    """The whole table as lines of text: places down, faults across; `-` is impossible, with the reasons below."""
    lines: list[str] = []
    for family, title in _TITLES.items():
        cells = [cell for cell in (*possible(), *impossible()) if cell[0] == family]
        whats = list(dict.fromkeys(cell[1] for cell in cells))
        wheres = list(dict.fromkeys(cell[2] for cell in cells))
        lines += ["", title, *_grid(family, whats, wheres, met, set(cells))]
    reasons: dict[str, list[str]] = {reason: [] for reason in impossible().values()}
    for (_, what, where), reason in impossible().items():
        reasons[reason].append(f"{what} at {where}")
    lines += ["", "Impossible (-):", *(f"  {', '.join(cells)}: {reason}" for reason, cells in reasons.items())]
    return lines


def _grid(
    family: str, whats: Sequence[str], wheres: Sequence[str], met: Mapping[Cell, int], cells: set[Cell]
) -> list[str]:
    """The longer side goes down."""
    across, down, turned = (whats, wheres, False) if len(whats) <= len(wheres) else (wheres, whats, True)
    first = max(len(name) for name in down)
    widths = [max(len(name), 5) for name in across]
    heads = "  ".join(name.rjust(width) for name, width in zip(across, widths, strict=True))
    lines = [f"  {''.ljust(first)}  {heads}"]
    for row in down:
        shown = []
        for column, width in zip(across, widths, strict=True):
            cell = (family, row, column) if turned else (family, column, row)
            shown.append(_mark(cell, met, cells).rjust(width))
        lines.append(f"  {row.ljust(first)}  {'  '.join(shown)}")
    return lines


def _mark(cell: Cell, met: Mapping[Cell, int], cells: set[Cell]) -> str:
    if cell in impossible():
        return "-"
    return str(met.get(cell, 0)) if cell in cells else ""
