"""A run for each fiscal period: its data interval is the period's instants, and it starts when the period is over.

Registered by tieout_plugin.py. The whole calendar goes into the serialised DAG, so the scheduler restores it without
any file of ours, and a restart, or a calendar's file that is being edited, changes nothing until the DAG is parsed
anew.

Nothing may be keyed on the run's id: a scheduled run is named `scheduled__FY2026-P05__<run after>`, but Airflow names
the runs of a backfill by itself. The data interval says which period a run is for (`period_of`).

No method raises for a day outside of the calendar: Airflow's backfill logs what a timetable raises and goes on with the
runs that it has so far (3.3.2, SerializedDAG.iter_dagrun_infos_between).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pendulum
from airflow.exceptions import AirflowTimetableInvalid
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

from tieout.model.calendar import Calendar, Period, parse

if TYPE_CHECKING:
    from airflow.utils.types import DagRunType
    from pendulum import DateTime


class FiscalPeriodTimetable(Timetable):  # type: ignore[misc]  # airflow is not followed by mypy here
    """One run a fiscal period.

    Args:
        calendar: whose periods.
        time_zone: IANA name; the periods' days are days there.
        by_itself: False: the scheduler makes no run of its own; a backfill and a trigger do, as ever.
        now: the clock, which says what is over.
    """

    def __init__(
        self,
        calendar: Calendar,
        time_zone: str,
        by_itself: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.calendar = calendar
        self.time_zone = time_zone
        self.by_itself = by_itself
        self._now = now
        periods = f"each period of the fiscal calendar {calendar.name}, in {time_zone}"
        self.description = f"After {periods}" if by_itself else f"For {periods}; by backfill or by hand only"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FiscalPeriodTimetable):
            return NotImplemented
        mine, others = ((one.calendar, one.time_zone, one.by_itself) for one in (self, other))
        return mine == others

    def __hash__(self) -> int:
        return hash((self.calendar.name, self.time_zone))

    @property
    def summary(self) -> str:
        """Stands in the list of DAGs."""
        return f"fiscal periods: {self.calendar.name}"

    def validate(self) -> None:
        """Raises AirflowTimetableInvalid for an unknown time zone."""
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise AirflowTimetableInvalid(
                f"calendar {self.calendar.name}: unknown time zone {self.time_zone!r}"
            ) from error

    def serialize(self) -> dict[str, Any]:
        """All that `deserialize` needs, as JSON can hold it."""
        return {
            "name": self.calendar.name, "calendar": self.calendar.plain(), "time_zone": self.time_zone,
            "by_itself": self.by_itself,
        }  # fmt: skip

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> FiscalPeriodTimetable:
        """The timetable as it was. Raises ConfigurationFault for a definition that no version of ours has written."""
        # DAGs that were serialised before there was this choice ran by themselves.
        return cls(parse(data["name"], data["calendar"]), data["time_zone"], data.get("by_itself", True))

    def interval(self, period: Period) -> DataInterval:
        """[begin, end) of the period, in UTC."""
        begin, end = period.bounds(ZoneInfo(self.time_zone))
        return DataInterval(pendulum.instance(begin), pendulum.instance(end))

    def period_of(self, data_interval: DataInterval | tuple[datetime, datetime] | None) -> Period | None:
        """The period whose bounds this interval is; None where it is the interval of none."""
        if data_interval is None:
            return None
        period = self._holding(data_interval[0])
        return period if period and tuple(self.interval(period)) == tuple(data_interval) else None

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """The last period that was over at `run_after`.

        Before the calendar's first period is over there is none: then it is the first, and the run's
        first step judges it.
        """
        return self.interval(self._last_over(run_after) or self.calendar.periods[0])

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The period after the last one that had a run; None after the calendar's last, and past the DAG's end date.

        Without catch-up, the periods that are over but for the last are left out. After a change of the calendar the
        next run is for the period in which the last one ended; where that begins no later than the last run's, Airflow
        would take it for the same run or an older one, so it is the one after it, and the other is for a backfill.

        A timetable that does nothing by itself has a next run for a backfill only, which asks with catch-up whatever
        the DAG says (3.3.2, SerializedDAG.iter_dagrun_infos_between); the scheduler asks as the DAG says, without.
        """
        earliest, latest, catchup = restriction
        if not (self.by_itself or catchup):
            return None
        bounds: list[Period | None] = []
        if earliest:
            bounds.append(next(iter(self.calendar.between(self._day(earliest), date.max)), None))
        if last_automated_data_interval:
            bounds.append(self._after(last_automated_data_interval))
        if not catchup and (over := self._last_over(self._now())):
            bounds.append(over)
        periods = [period for period in bounds if period]
        # A bound behind the calendar's end leaves no period.
        if not periods or len(periods) < len(bounds):
            return None
        period = max(periods)
        if latest and period.first > self._day(latest):
            return None
        return DagRunInfo.interval(*self.interval(period))

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """`scheduled__FY2026-P05__2026-06-01T00:00:00+00:00`; without the label where it is no period's interval."""
        period = self.period_of(data_interval)
        moment = run_after.isoformat()
        return str(run_type.generate_run_id(suffix=f"{period.label}__{moment}" if period else moment))

    def _day(self, bound: datetime) -> date:
        """The day that a bound of a range means; a period belongs to the range by its first day, both inclusive.

        Midnight UTC is a date that somebody typed (`--from-date 2026-07-01`, Airflow's dialog in UTC): that day. Any
        other instant means its day in the link's time zone.
        """
        instant = bound.astimezone(UTC)
        return instant.date() if instant.time() == time() else self._local(bound)

    def _local(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self.time_zone)).date()

    def _holding(self, instant: datetime) -> Period | None:
        """The period that has this instant; the first for one before the calendar, None for one after it."""
        day = self._local(instant)
        if day > self.calendar.periods[-1].last:
            return None
        return self.calendar.period_of(max(day, self.calendar.periods[0].first))

    def _after(self, last: DataInterval) -> Period | None:
        """The period whose turn it is after the run of this interval."""
        period = self._holding(last.end)
        if period and self.interval(period).start <= last.start:
            return self.calendar.after(period)
        return period

    def _last_over(self, now: datetime) -> Period | None:
        """The last period that had ended at `now`."""
        period = self._holding(now)
        return self.calendar.before(period) if period else self.calendar.periods[-1]
