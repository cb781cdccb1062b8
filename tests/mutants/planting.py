"""Bugs of the posting protocol, planted on purpose: the simulation has to find each, or its silence means nothing.

Each is a patch that lives in one of the modules of bugs/, by what it breaks. `aim` is the coverage cell, or the
first words of it, around which schedules are made in which the bug should show: `make test` plays those, `make mutants`
plays the seeds from 0 on and says how many it took. How they are run is in hunt.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """One planted bug. `aim`: family, what and perhaps where of the cells in which it should show; empty: any."""

    plant: Callable[[Patch], None]
    aim: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.plant.__name__

    @property
    def what(self) -> str:
        return " ".join((self.plant.__doc__ or "").split())


MUTANTS: list[Mutant] = []


def mutant(*aim: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Registers the function below."""

    def keep(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        MUTANTS.append(Mutant(plant, aim))
        return plant

    return keep


def without(patch: Patch, module: Any, name: str, *parts: tuple[str, str]) -> None:
    """Changes an SQL constant; each part must be in it."""
    sql = getattr(module, name)
    for old, new in parts:
        assert old in sql, f"{name} has no {old!r} any more: mend this mutant"
        sql = sql.replace(old, new)
    patch.setattr(module, name, sql)
