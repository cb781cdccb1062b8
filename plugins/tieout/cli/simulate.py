"""`tieout simulate`: the posting protocol under seeded faults, in virtual time."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tieout.cli import show
from tieout.delivery.simulation import coverage, run
from tieout.delivery.simulation.player import Played
from tieout.delivery.simulation.run import Failure, Report

#: Seconds between two lines of progress.
EVERY = 10.0


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(simulate)


def simulate(
    schedules: Annotated[int, typer.Option(min=1, help="How many seeds to play.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="The first of them; one seed alone is played with its timeline.")
    ] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes at once; 0 takes one for each core.")] = 0,
) -> None:
    """Plays schedules of faults around the delivery code and checks every invariant. Exit code 1: one did not hold."""
    if schedules == 1:
        raise typer.Exit(_one(run.replay(seed)))
    report = run.simulate(seed, schedules, workers or run.cores(), _Progress(schedules))
    for line in coverage.table(report.met):
        show.console.print(line, markup=False, highlight=False, soft_wrap=True)
    _say("")
    _say(
        f"{report.schedules} schedules, {report.deliveries} deliveries in {report.seconds:.1f} s: "
        f"{report.rate:.1f} a second"
    )
    for failure in report.failures:
        _tell(failure)
    missing = coverage.unmet(report.met) if report.schedules >= coverage.ENOUGH else []
    for family, what, where in missing:
        _say(f"never met: {family} {what} at {where}")
    if schedules < coverage.ENOUGH:
        _say(f"the coverage is asked for from {coverage.ENOUGH} schedules on")
    raise typer.Exit(1 if report.failures or missing else 0)


class _Progress:
    """A line now and then: how many, how quick, how long it will still take."""

    def __init__(self, schedules: int) -> None:
        self.schedules, self.told = schedules, time.monotonic()

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self.told < EVERY:
            return
        self.told = now
        left = (self.schedules - report.schedules) / report.rate
        _say(f"{report.schedules} of {self.schedules}, {report.rate:.1f} a second, {left:.0f} s left")


def _one(played: Played) -> int:
    for line in (*played.plan.lines(), "", *(str(happening) for happening in played.timeline)):
        _say(line)
    _say("every invariant holds" if played.broken is None else f"does not hold: {played.broken}")
    return 0 if played.broken is None else 1


def _tell(failure: Failure) -> None:
    _say("")
    _say(f"seed {failure.seed} breaks {failure.invariant}: {failure.words}")
    _say("the smallest plan that does:")
    for line in (*failure.plan, "", *failure.timeline):
        _say(f"  {line}")
    _say(f"again: tieout simulate --seed {failure.seed}")


def _say(line: str) -> None:
    show.console.print(line, markup=False, highlight=False, soft_wrap=True)
