"""The simulator: as many schedules as fit in a minute, and that what it says can be trusted and seen again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tieout.cli import app
from tieout.delivery import claim
from tieout.delivery.simulation import coverage, run
from tieout.delivery.simulation.clock import VirtualClock
from tieout.delivery.simulation.faults import impossible, possible
from tieout.delivery.simulation.lab import Lab, opened
from tieout.delivery.simulation.minimise import minimise
from tieout.delivery.simulation.plan import Caller, Doc, Plan, Strike
from tieout.delivery.simulation.player import play
from tieout.delivery.simulation.seeds import cell_of, make
from tieout.delivery.simulation.workers import Stage

#: About a minute on two quiet cores; `make simulate SCHEDULES=1000000` plays more.
SCHEDULES = int(os.environ.get("TIEOUT_SIMULATIONS", "1200"))


@pytest.fixture
def lab(database_url: str) -> Iterator[Lab]:
    with opened(database_url) as opened_lab:
        yield opened_lab


@pytest.mark.timeout(900)
def test_every_invariant_holds_in_every_schedule_and_every_fault_meets_every_place() -> None:
    report = run.simulate(0, SCHEDULES, run.cores())
    failed = [line for failure in report.failures for line in (str(failure), *failure.plan, *failure.timeline)]
    assert not failed, "\n".join(failed)
    assert report.schedules == SCHEDULES
    if coverage.ENOUGH <= SCHEDULES:
        assert coverage.unmet(report.met) == []


@pytest.mark.parametrize("seed", [7, 130, 190, 255])
def test_two_plays_of_a_seed_have_the_same_timeline(lab: Lab, seed: int) -> None:
    first, second = play(lab, make(seed)), play(lab, make(seed))
    assert len(first.timeline) > 3
    assert [str(line) for line in first.timeline] == [str(line) for line in second.timeline]
    assert first.met == second.met


def _cuts(plan: Plan) -> list[Plan]:
    """The plan's documents in one run, in two, in one for each; one after the other, and all at once."""
    numbers = tuple(doc.number for doc in plan.docs)
    cuts: list[tuple[Caller, ...]] = [(Caller(0.0, numbers),)]
    for parts in (2, len(numbers)):
        for apart in (0.0, 90.0):
            cuts.append(tuple(Caller(n * apart, numbers[n::parts]) for n in range(parts)))
    cuts.append(tuple(Caller(0.0, numbers) for _ in range(3)))  # schedule, backfill and webhook on the same records
    return [replace(plan, callers=cut) for cut in cuts]


@pytest.mark.parametrize("fault", ["lost_answer", "late", "throttled", "ok"])
def test_any_cut_into_runs_and_any_overlap_gives_the_same_books(lab: Lab, fault: str) -> None:
    docs = (Doc(0, "durable.create"), Doc(1, "natural.create", parent=0), Doc(2, "short.create"),
            Doc(3, "bare.create", parent=0), Doc(4, "payment.create", parent=2, pays=True),
            Doc(5, "natural.create", refuse="validation"), Doc(6, "short.create", parent=5))  # fmt: skip
    strikes = tuple(Strike(fault, f"send:{doc.operation}") for doc in docs) if fault != "ok" else ()
    books = []
    for cut in _cuts(Plan(0, docs, (), strikes, lag=2.0)):
        played = play(lab, cut)
        assert played.broken is None, "\n".join([str(played.broken), *cut.lines(), *map(str, played.timeline)])
        books.append(played.books)
    assert len(books[0]) == 5
    assert all(each == books[0] for each in books)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def plant() -> None:
        due = "(i.not_before is null or i.not_before <= %(now)s)"
        monkeypatch.setattr(claim, "_CLAIM_UNKNOWN", claim._CLAIM_UNKNOWN.replace(due, "%(now)s is not null"))

    return plant


def test_a_failure_is_made_small_and_fails_again(lab: Lab, planted: Callable[[], None]) -> None:
    planted()  # a look-up that does not wait for the quiet period
    report = run.play_all(lab, range(100))
    failure = report.failures[0]
    assert failure.invariant == "S6"
    strikes = [line for line in failure.plan if " at send:" in line]
    assert 1 <= len(strikes) <= 2
    assert len(failure.plan) < len(make(failure.seed).lines())
    assert "S6" in failure.timeline[-1]


def test_a_minimal_plan_keeps_only_what_it_needs() -> None:
    docs = tuple(Doc(n, "natural.create", parent=0 if n else None) for n in range(6))
    strikes = tuple(Strike("dies", "after_send", n) for n in range(9))
    plan = Plan(1, docs, (Caller(0.0, (0,)), Caller(0.0, (1,))), strikes, lag=5.0)

    def fails(candidate: Plan) -> bool:
        return {3, 7} <= {s.nth for s in candidate.strikes} and 4 in {d.number for d in candidate.docs}

    smallest = minimise(plan, fails)
    assert {strike.nth for strike in smallest.strikes} == {3, 7}
    assert [doc.number for doc in smallest.docs] == [0, 4]  # its parent stays with it
    assert (smallest.callers, smallest.lag) == ((), 0.0)


def test_a_plan_is_a_function_of_its_seed_and_every_cell_has_its_turn() -> None:
    assert make(12345) == make(12345) != make(12346)
    assert {cell_of(seed) for seed in range(len(possible()))} == set(possible())
    assert not set(possible()) & set(impossible())


def test_workers_take_turns_by_their_times() -> None:
    stage, seen = Stage(VirtualClock()), []

    def worker(name: str, *pauses: float) -> Callable[[], None]:
        def body() -> None:
            for seconds in pauses:
                seen.append((stage.clock.seconds, name))
                stage.pause(seconds)

        return body

    stage.enter("a", 0.0, worker("a", 2.0, 2.0))
    stage.enter("b", 1.0, worker("b", 0.5, 3.0))
    stage.run()
    assert seen == [(0.0, "a"), (1.0, "b"), (1.5, "b"), (2.0, "a")]
    assert stage.clock.seconds == 4.5


def test_what_a_worker_lets_out_reaches_the_caller() -> None:
    stage = Stage(VirtualClock())
    stage.enter("a", 0.0, lambda: [][0])
    with pytest.raises(IndexError):
        stage.run()


def test_the_command_replays_a_seed() -> None:
    first, second = (CliRunner().invoke(app, ["simulate", "--seed", "42"]) for _ in range(2))
    assert first.exit_code == 0
    assert first.output == second.output
    assert "every invariant holds" in first.output


def test_the_command_says_what_does_not_hold(planted: Callable[[], None]) -> None:
    planted()
    seed = next(seed for seed in range(1000) if cell_of(seed) == ("send", "late", "short.create"))
    done = CliRunner().invoke(app, ["simulate", "--seed", str(seed)])
    assert done.exit_code == 1
    assert "does not hold: S6" in done.output
