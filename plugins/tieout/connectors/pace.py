"""When the next call may be made: what a vendor allows, and what is left of it. Pure: state in, state out.

`admit` asks for a call, `answered` tells what came of it. Where the state is kept, and how long a caller waits, is said
by a gate: in memory (gate.py) or in the store, shared by all workers (delivery/gate.py).

Two limits are kept apart:
- Calls in a window (60 a minute), as a log of their beginnings: exact for a window that rolls, and for one that does
  not. Half of them go at once, so that a short run is not held up; the others are spread over the time until the first
  ones come back, so that there is nearly always one left for a call that must not wait.
- Calls at the same time: slots, each a lease. How many are tried (`width`) grows by one a round while all goes well,
  and is halved by a refusal or by silence.

What the vendor's answers say counts for more than what is declared: other programs may use the same allowance, and an
allowance may be larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from types import MappingProxyType
from typing import Literal

Problem = Literal["window", "concurrent", "day", "other"]

#: Calls at once where the vendor names no limit: more threads than this gain nothing in one process.
MOST_AT_ONCE = 8.0
#: Share of the day's calls that batch work leaves for work that must not wait.
DAY_RESERVE = 0.05
#: After this the vendor's word on the day's calls is old: one call asks anew.
DAY_WORD_LASTS = timedelta(hours=1)
#: Answers this many times slower than the fastest of their kind end the growth; twice as slow again, they narrow.
STRAINED = 3.0
#: Weight of the newest answer in what is smoothed, and how fast the memory of the fastest one fades.
NEWEST, FADE = 0.2, 1.01
#: Kinds of calls whose fastest answer is remembered.
MOST_KINDS = 40
#: Spacing of batch calls, as a share of an even one: below 1, so that a gap can be made up for.
CATCH_UP = 0.8
#: What a worker does between two calls, seconds: with a busy store and machine.
OWN_SECONDS = 0.25
_SECOND = timedelta(seconds=1.1)  # with a margin: calls do not travel equally long
#: Longest and shortest time between two looks for a free slot, seconds.
LONGEST_LOOK, SHORTEST_LOOK = 0.25, 0.02


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a vendor allows one connection; None is no limit.

    Attributes:
        calls: in `window` seconds, rolling.
        concurrent: calls under way at the same time.
        daily: calls in 24 hours, as the vendor documents them; its answers say what is left.
        cap: calls a day (UTC) that the connection's owner allows us.
        per_second: calls begun in one second, rolling; only together with `calls`.
    """

    calls: int | None = None
    window: float = 60.0
    concurrent: int | None = None
    daily: int | None = None
    cap: int | None = None
    per_second: int | None = None

    @property
    def span(self) -> timedelta:
        """The window with a margin: calls do not travel equally long."""
        return timedelta(seconds=self.window * 1.005 + 0.1)


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that wants to be made.

    Attributes:
        seconds: after which its slot is free again whatever became of it.
        weight: as how many calls of the window it counts, where the vendor has a tighter limit for calls of its kind.
    """

    ticket: str
    priority: int = 0
    seconds: float = 120.0
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one call.

    Attributes:
        seconds: until the answer was complete, or was given up.
        kind: calls of one kind take about as long.
        fine: the vendor did what it was asked or refused it for what it says, not for how often it was asked.
        problem: the limit that was met (429).
        retry_after: seconds that the vendor asks to wait.
        window_left, day_left: calls that the vendor says are left; None when it does not say.
        unpaced: a good answer that names no limit on calls in a window, of a vendor that always does: there is none.
        day_limit: calls in 24 hours, where the vendor says so.
    """

    seconds: float = 0.0
    kind: str = ""
    fine: bool = True
    problem: Problem | None = None
    retry_after: float | None = None
    window_left: int | None = None
    unpaced: bool = False
    day_left: int | None = None
    day_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now. `seconds` until it is worth asking again; `why` names the limit, or `urgent`."""

    seconds: float
    why: Problem | Literal["urgent"]


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known of a connection's allowance: the row of store.tables.pace, which explains each field."""

    calls: tuple[datetime, ...] = ()
    slots: Mapping[str, datetime] = field(default_factory=dict)
    width: float = 2.0
    narrowed_at: datetime | None = None
    open_at: datetime | None = None
    closed_by: Problem | None = None
    urgent_until: datetime | None = None
    answer_seconds: float | None = None
    fastest: Mapping[str, float] = field(default_factory=dict)
    strain: float = 1.0
    has_window: bool = True
    day: date | None = None
    day_calls: int = 0
    day_left: int | None = None
    day_limit: int | None = None
    day_heard_at: datetime | None = None
    total_calls: int = 0
    total_refused: int = 0


NEW = Pace(slots=MappingProxyType({}), fastest=MappingProxyType({}))


def admit(pace: Pace, allowance: Allowance, ask: Ask, now: datetime) -> tuple[Pace, Wait | None]:
    """Lets the call through, and takes its slot; or says how long to wait.

    Returns:
        The state afterwards, in either case, and None when the call may be made now.
    """
    pace = _without_ended(pace, now)
    wait = _wait(pace, allowance, ask, now)
    if wait is not None:
        if ask.priority > 0 and wait.why != "day":
            # A little longer than its next look, so that nothing slips in before it.
            pace = replace(pace, urgent_until=now + timedelta(seconds=wait.seconds + 0.5))
        return pace, wait
    paced = pace.has_window and allowance.calls is not None
    # Kept for two windows: an answer may say what was left when it set out.
    kept = tuple(at for at in pace.calls if at > now - 2 * allowance.span)
    return replace(
        pace,
        calls=_with_call(kept, ask, now) if paced else (),
        slots={**pace.slots, ask.ticket: now + timedelta(seconds=ask.seconds)},
        urgent_until=None if ask.priority > 0 else pace.urgent_until,
        day=now.astimezone(UTC).date(),
        day_calls=_calls_today(pace, now) + 1,
        total_calls=pace.total_calls + 1,
    ), None


def _with_call(calls: tuple[datetime, ...], ask: Ask, now: datetime) -> tuple[datetime, ...]:
    """The call in the log. What it counts for beyond one stands before the last second: it has one beginning."""
    if ask.weight == 1:
        return (*calls, now)
    return tuple(sorted((*calls, *(now - _SECOND,) * (ask.weight - 1), now)))


def answered(pace: Pace, allowance: Allowance, ticket: str, heard: Heard, now: datetime) -> Pace:
    """Gives the slot back and learns from the answer."""
    was_full = len(pace.slots) >= int(pace.width)
    pace = replace(pace, slots={name: until for name, until in pace.slots.items() if name != ticket})
    pace = _learned_of_calls(pace, allowance, heard, now)
    pace = _learned_of_time(pace, heard)
    return _learned_of_width(pace, allowance, heard, now, was_full)


def abandoned(pace: Pace, ticket: str) -> Pace:
    """Gives the slot back; the call was not made, which its place in the window does not show."""
    return replace(pace, slots={name: until for name, until in pace.slots.items() if name != ticket})


def closed_for(pace: Pace, allowance: Allowance, now: datetime) -> float:
    """Seconds until batch work may go on: what the vendor asked for, or the end of the day's calls; else 0."""
    asked = 0.0 if pace.open_at is None else max(_seconds(pace.open_at - now), 0.0)
    day = _day_wait(pace, allowance, Ask(""), now)
    return max(asked, 0.0 if day is None else day.seconds)


def useful_workers(pace: Pace, allowance: Allowance) -> int:
    """How many callers can be kept busy: no more than are tried at once, nor than the window's rate needs.

    At 60 calls a minute and 3 s an answer that is 3, and one to spare.
    """
    most = max(int(pace.width), 1)
    if not pace.has_window or allowance.calls is None or pace.answer_seconds is None:
        return most
    return min(most, ceil(allowance.calls / allowance.window * (pace.answer_seconds * 1.2 + OWN_SECONDS)) + 1)


# -- may it go? --------------------------------------------------------------------------------------------------------


def _wait(pace: Pace, allowance: Allowance, ask: Ask, now: datetime) -> Wait | None:
    """The first limit that is in the way."""
    if pace.open_at is not None and pace.open_at > now:
        return Wait(_seconds(pace.open_at - now), pace.closed_by or "other")
    day = _day_wait(pace, allowance, ask, now)
    if day is not None:
        return day
    urgent = ask.priority > 0
    if not urgent and pace.urgent_until is not None and pace.urgent_until > now:
        return Wait(min(_seconds(pace.urgent_until - now), LONGEST_LOOK), "urgent")
    # One more than is tried now, but never more than the vendor takes.
    slots = min(int(pace.width) + (1 if urgent else 0), int(_most(allowance)))
    if len(pace.slots) >= max(slots, 1):
        look = (pace.answer_seconds or 1.0) / 8
        return Wait(min(max(look, SHORTEST_LOOK), LONGEST_LOOK), "concurrent")
    seconds = max(_window_wait(pace, allowance, ask, now), _second_wait(pace, allowance, now))
    return Wait(seconds, "window") if seconds > 0 else None


def _second_wait(pace: Pace, allowance: Allowance, now: datetime) -> float:
    """Seconds until another call may begin where only so many may in one second."""
    if allowance.per_second is None or not pace.has_window:
        return 0.0
    begun = [at for at in pace.calls if at > now - _SECOND]
    return _seconds(begun[-allowance.per_second] + _SECOND - now) if len(begun) >= allowance.per_second else 0.0


def _window_wait(pace: Pace, allowance: Allowance, ask: Ask, now: datetime) -> float:
    """Seconds until the window has room for the call; batch work keeps its distance from the call before."""
    if allowance.calls is None or not pace.has_window:
        return 0.0
    limit, span = allowance.calls, allowance.span
    recent = [at for at in pace.calls if at > now - span]
    weight = min(ask.weight, limit)
    if len(recent) + weight > limit:
        return _seconds(recent[len(recent) + weight - limit - 1] + span - now)
    if ask.priority > 0 or len(recent) < max(limit // 2, 1):
        return 0.0
    left = (limit - len(recent)) // weight
    since = _seconds(now - recent[-1])
    even = span.total_seconds() / limit * weight * CATCH_UP - since
    # Both the distance kept and the time until the first call comes back change while we wait.
    spread = (_seconds(recent[0] + span - now) - since * (left + 1)) / (left + 2)
    return max(even, spread, 0.0)


def _day_wait(pace: Pace, allowance: Allowance, ask: Ask, now: datetime) -> Wait | None:
    today = _calls_today(pace, now)
    if allowance.cap is not None and allowance.cap - today <= _reserve(allowance.cap, ask):
        return Wait(_until_midnight(now), "day")
    heard = pace.day_heard_at is not None and now - pace.day_heard_at < DAY_WORD_LASTS
    if heard and pace.day_left is not None and pace.day_heard_at is not None:
        limit = pace.day_limit or allowance.daily or pace.day_left
        if pace.day_left - len(pace.slots) <= _reserve(limit, ask):
            return Wait(_seconds(pace.day_heard_at + DAY_WORD_LASTS - now), "day")
    elif pace.day_heard_at is None and allowance.daily is not None and today >= allowance.daily:
        return Wait(_until_midnight(now), "day")
    return None


def _reserve(limit: int, ask: Ask) -> int:
    return 0 if ask.priority > 0 else ceil(limit * DAY_RESERVE)


def _without_ended(pace: Pace, now: datetime) -> Pace:
    """Slots of callers that never came back are free again."""
    if all(until > now for until in pace.slots.values()):
        return pace
    return replace(pace, slots={name: until for name, until in pace.slots.items() if until > now})


# -- what an answer teaches --------------------------------------------------------------------------------------------


def _learned_of_calls(pace: Pace, allowance: Allowance, heard: Heard, now: datetime) -> Pace:
    if heard.problem is not None:
        asked = 1.0 if heard.retry_after is None else max(heard.retry_after, 0.0)
        until = max(now + timedelta(seconds=asked), pace.open_at or now)
        pace = replace(pace, open_at=until, closed_by=heard.problem, total_refused=pace.total_refused + 1)
    if heard.day_left is not None:
        limit = heard.day_limit if heard.day_limit is not None else pace.day_limit
        pace = replace(pace, day_left=heard.day_left, day_limit=limit, day_heard_at=now)
    if allowance.calls is None or (heard.window_left is None and not heard.unpaced):
        return pace
    if heard.window_left is None or heard.window_left >= allowance.calls:
        # The vendor counts no calls, or has more of them left than are declared: nothing to pace for now.
        return replace(pace, has_window=False, calls=())
    started = now - timedelta(seconds=heard.seconds)
    ours = allowance.calls - sum(at > started - allowance.span for at in pace.calls)
    # What the vendor counts beyond ours was used by others; it comes back a window from now.
    others = (now,) * max(ours - heard.window_left, 0)
    return replace(pace, has_window=True, calls=(*pace.calls, *others))


def _learned_of_time(pace: Pace, heard: Heard) -> Pace:
    if not heard.fine:
        return pace
    smoothed = _smoothed(pace.answer_seconds, heard.seconds)
    if not heard.kind:
        return replace(pace, answer_seconds=smoothed)
    before = pace.fastest.get(heard.kind, heard.seconds) * FADE
    fastest = {**pace.fastest, heard.kind: max(min(before, heard.seconds), 1e-3)}
    while len(fastest) > MOST_KINDS:
        fastest.pop(next(iter(fastest)))
    strain = _smoothed(pace.strain, max(heard.seconds, 1e-3) / fastest[heard.kind])
    return replace(pace, answer_seconds=smoothed, fastest=fastest, strain=strain)


def _learned_of_width(pace: Pace, allowance: Allowance, heard: Heard, now: datetime, was_full: bool) -> Pace:
    refused = heard.problem in ("concurrent", "other") or (heard.problem is None and not heard.fine)
    if refused or pace.strain > 2 * STRAINED:
        if pace.narrowed_at is not None and pace.narrowed_at > now - timedelta(seconds=heard.seconds):
            return pace  # this call set out before the last narrowing: it says nothing of what came after
        narrower = pace.width / 2 if refused else pace.width * 0.9
        return replace(pace, width=max(narrower, 1.0), narrowed_at=now)
    if heard.fine and was_full and pace.strain < STRAINED:
        # By one an answer until something was refused for the first time, then by one a round.
        more = 1.0 if pace.narrowed_at is None else 1 / pace.width
        return replace(pace, width=min(pace.width + more, _most(allowance)))
    return pace


def _most(allowance: Allowance) -> float:
    return MOST_AT_ONCE if allowance.concurrent is None else float(max(allowance.concurrent, 1))


def _calls_today(pace: Pace, now: datetime) -> int:
    return pace.day_calls if pace.day == now.astimezone(UTC).date() else 0


def _until_midnight(now: datetime) -> float:
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    return _seconds(datetime.combine(tomorrow, time(), UTC) - now)


def _smoothed(before: float | None, newest: float) -> float:
    return newest if before is None else before + NEWEST * (newest - before)


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
