"""Runs planted bugs: each in a process and a database of its own, schedule after schedule, until one shows it.

    python -m tests.mutants [--within 3000] [--processes 2] [NAME ...]

prints a table: the bug, the invariant that caught it, how many schedules it took from seed 0 on. Exit code 1: one was
not caught.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice

import pytest

import tests.mutants.bugs  # noqa: F401 - registers them
from tests.mutants.planting import MUTANTS, Mutant
from tieout.delivery.simulation.lab import Lab, opened
from tieout.delivery.simulation.player import play
from tieout.delivery.simulation.run import cores, databases
from tieout.delivery.simulation.seeds import cell_of, make

#: Schedules after which a bug counts as not caught.
WITHIN = 3_000
#: Seeds among which those of an aim are looked for.
_SEEDS = range(100_000)


@dataclass(frozen=True)
class Caught:
    """How a bug showed. `schedules`: played until then; `invariant` is None when it was not caught."""

    name: str
    invariant: str | None
    words: str
    seed: int
    schedules: int


def hunt(lab: Lab, mutant: Mutant, seeds: Iterable[int]) -> Caught:
    """Plants the bug and plays the seeds until one shows it."""
    played = 0
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        for seed in seeds:
            played += 1
            broken = play(lab, make(seed)).broken
            if broken is not None:
                return Caught(mutant.name, broken.name, broken.words, seed, played)
    return Caught(mutant.name, None, "", -1, played)


def aimed(mutant: Mutant, most: int) -> list[int]:
    """Seeds whose schedules are made around the mutant's aim; without an aim simply the first."""
    return list(islice((seed for seed in _SEEDS if cell_of(seed)[: len(mutant.aim)] == mutant.aim), most))


def table(found: Sequence[Caught]) -> list[str]:
    """The result as lines of text."""
    width = max(len(caught.name) for caught in found)
    lines = [f"{'planted bug'.ljust(width)}  caught by  schedules  what was seen"]
    for caught in found:
        by = caught.invariant or "NOBODY"
        lines.append(f"{caught.name.ljust(width)}  {by:<9}  {caught.schedules:>9}  {caught.words[:90]}")
    missed = sum(caught.invariant is None for caught in found)
    return [*lines, f"{len(found)} planted, {len(found) - missed} caught"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--within", type=int, default=WITHIN)
    parser.add_argument("--processes", type=int, default=cores())
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args(arguments)
    wanted = [mutant.name for mutant in MUTANTS if not chosen.names or mutant.name in chosen.names]
    context = multiprocessing.get_context("spawn")
    with databases(chosen.processes) as urls, context.Manager() as manager:
        free = manager.Queue()
        for url in urls:
            free.put(url)
        with ProcessPoolExecutor(chosen.processes, context, _begin, (free,)) as pool:
            found = []
            for caught in pool.map(_hunt, wanted, [chosen.within] * len(wanted)):
                found.append(caught)
                print(
                    f"{caught.name}: {caught.invariant or 'NOT CAUGHT'} after {caught.schedules} schedules", flush=True
                )
    print("", *table(found), sep="\n")
    return 1 if any(caught.invariant is None for caught in found) else 0


#: The database of a process of the pool.
_urls: list[str] = []


def _begin(free: multiprocessing.Queue[str]) -> None:
    _urls.append(free.get())


def _hunt(name: str, within: int) -> Caught:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    with opened(_urls[0]) as lab:
        return hunt(lab, mutant, range(within))
