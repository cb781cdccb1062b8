"""The timetable without a database: which run comes next, in which interval, under which name, and what is restored."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from functools import partial
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.exceptions import AirflowTimetableInvalid
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.utils.types import DagRunType

from tieout.model.calendar import Calendar, Period, parse
from tieout.orchestration.fiscal_timetable import FiscalPeriodTimetable

MONTHS = parse("months", {"kind": "months"})
WEEKS = parse("weeks", {"kind": "weeks", "pattern": "4-4-5",
                        "year_ends": {"weekday": "saturday", "month": 12, "rule": "nearest"}})  # fmt: skip
SHORT = parse("short", {"kind": "custom", "years": {2026: [
    {"first": "2026-01-01", "last": "2026-01-30"}, {"first": "2026-01-31", "last": "2026-02-28"},
    {"first": "2026-03-01", "last": "2026-03-31", "label": "CLOSE"}]}})  # fmt: skip
LONDON, NEW_YORK, TOKYO = "Europe/London", "America/New_York", "Asia/Tokyo"


def moment(text: str, zone: str = "UTC") -> pendulum.DateTime:
    found = pendulum.parse(text, tz=zone)
    assert isinstance(found, pendulum.DateTime)
    return found


def runs(timetable: FiscalPeriodTimetable, earliest: str, latest: str) -> list[str]:
    """As Airflow's backfill asks: one after the other, with catch-up, until there is none."""
    restriction = TimeRestriction(moment(earliest), moment(latest), catchup=True)
    found: list[str] = []
    info: DagRunInfo | None = None
    while info := timetable.next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction):
        period = timetable.period_of(info.data_interval)
        assert period is not None and info.data_interval and info.run_after == info.data_interval.end
        found.append(period.label)
        assert len(found) < 500
    return found


def after(
    timetable: FiscalPeriodTimetable, last: Period | None, start: str = "2020-01-01", catchup: bool = True
) -> str | None:
    interval = timetable.interval(last) if last else None
    restriction = TimeRestriction(moment(start, timetable.time_zone), None, catchup)
    info = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
    period = timetable.period_of(info.data_interval) if info else None
    return period.label if period else None


def test_intervals_follow_each_other_through_every_change_of_the_clock() -> None:
    timetable = FiscalPeriodTimetable(MONTHS, LONDON)
    intervals = [timetable.interval(period) for year in range(2020, 2030) for period in MONTHS.year(year)]
    assert all(before.end == following.start for before, following in pairwise(intervals))
    march = timetable.interval(MONTHS.period("FY2026-P03"))
    assert march == (moment("2026-03-01T00:00"), moment("2026-03-31T23:00"))
    assert {one.start.in_timezone(LONDON).hour for one in intervals} == {0}


@pytest.mark.parametrize("zone", [LONDON, NEW_YORK, TOKYO, "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"])
def test_range_of_dates_gives_the_periods_that_begin_in_it(zone: str) -> None:
    # `airflow backfill create --from-date 2026-05-01 --to-date 2026-07-31` sends midnights in UTC.
    timetable = FiscalPeriodTimetable(MONTHS, zone)
    assert runs(timetable, "2026-05-01", "2026-07-31") == ["FY2026-P05", "FY2026-P06", "FY2026-P07"]
    assert runs(timetable, "2026-05-01", "2026-05-01") == ["FY2026-P05"]
    assert runs(timetable, "2026-05-02", "2026-05-31") == []
    # The dialog in the link's own time zone sends these.
    mine = [moment(text, zone).in_timezone("UTC").isoformat() for text in ("2026-05-01", "2026-06-30")]
    assert runs(timetable, *mine) == ["FY2026-P05", "FY2026-P06"]


def test_range_of_weeks_gives_the_periods_of_the_calendar() -> None:
    timetable = FiscalPeriodTimetable(WEEKS, NEW_YORK)
    found = runs(timetable, "2025-12-01", "2026-03-01")
    assert found == [period.label for period in WEEKS.between(date(2025, 12, 1), date(2026, 3, 1))]
    assert found[0] == "FY2026-P01" and WEEKS.period(found[0]).first == date(2026, 1, 4)


@pytest.mark.parametrize(("earliest", "latest"), [
    ("2026-04-01", "2026-12-31"), ("2020-01-01", "2025-12-31"), ("2026-03-31", "2026-01-01"),
    ("2026-01-02", "2026-01-30"),
])  # fmt: skip
def test_range_without_a_period_gives_no_run(earliest: str, latest: str) -> None:
    assert runs(FiscalPeriodTimetable(SHORT, LONDON), earliest, latest) == []


def test_runs_end_with_the_calendar() -> None:
    timetable = FiscalPeriodTimetable(SHORT, LONDON)
    assert runs(timetable, "2020-01-01", "2030-01-01") == ["FY2026-P01", "FY2026-P02", "CLOSE"]
    assert after(timetable, SHORT.period("CLOSE")) is None
    assert after(timetable, SHORT.period("CLOSE"), catchup=False) is None


def test_with_catch_up_the_first_run_is_the_first_period_of_the_start_date() -> None:
    timetable = FiscalPeriodTimetable(MONTHS, NEW_YORK)
    assert after(timetable, None, "2024-07-01") == "FY2024-P07"
    assert after(timetable, None, "2024-07-02") == "FY2024-P08"
    assert after(timetable, MONTHS.period("FY2024-P12"), "2024-07-01") == "FY2025-P01"


def test_without_catch_up_the_run_is_the_last_period_that_is_over() -> None:
    def at_noon(calendar: Calendar) -> FiscalPeriodTimetable:
        return FiscalPeriodTimetable(calendar, LONDON, now=lambda: moment("2026-07-15T12:00"))

    timetable = at_noon(MONTHS)
    assert after(timetable, None, catchup=False) == "FY2026-P06"
    assert after(timetable, MONTHS.period("FY2026-P01"), catchup=False) == "FY2026-P06"
    assert after(timetable, MONTHS.period("FY2026-P06"), catchup=False) == "FY2026-P07"
    assert after(timetable, None, "2026-09-01", catchup=False) == "FY2026-P09"
    # A custom calendar that begins later, and one that is at its end.
    later = parse("later", {"kind": "custom", "years": {2027: [{"first": "2027-01-01", "last": "2027-12-31"}]}})
    assert after(at_noon(later), None, catchup=False) == "FY2027-P01"
    assert after(at_noon(SHORT), None, catchup=False) == "CLOSE"


def test_period_is_over_at_its_last_midnight_in_the_links_zone() -> None:
    for now, label in (("2026-07-01T03:59:59", "FY2026-P05"), ("2026-07-01T04:00:00", "FY2026-P06")):
        timetable = FiscalPeriodTimetable(MONTHS, NEW_YORK, now=partial(moment, now))
        assert after(timetable, None, catchup=False) == label
        assert timetable.period_of(timetable.infer_manual_data_interval(run_after=moment(now))) == MONTHS.period(label)


def test_run_by_hand_is_for_the_last_period_that_is_over() -> None:
    timetable = FiscalPeriodTimetable(SHORT, LONDON)
    for now, label in (("2026-02-10", "FY2026-P01"), ("2026-03-01", "FY2026-P02"), ("2031-01-01", "CLOSE"),
                       ("2019-01-01", "FY2026-P01")):  # fmt: skip
        assert timetable.infer_manual_data_interval(run_after=moment(now)) == timetable.interval(SHORT.period(label))


def test_after_a_change_of_the_calendar_runs_go_on_where_the_last_one_ended() -> None:
    months = FiscalPeriodTimetable(MONTHS, LONDON)
    restriction = TimeRestriction(moment("2020-01-01"), None, catchup=True)
    for label, follows in (("FY2026-P04", "FY2026-P04"), ("FY2026-P06", "FY2026-P07")):
        last = months.interval(MONTHS.period(label))
        info = FiscalPeriodTimetable(WEEKS, LONDON).next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )
        assert info and info.data_interval == FiscalPeriodTimetable(WEEKS, LONDON).interval(WEEKS.period(follows))
        assert info.data_interval.start > last.start, (
            "Airflow keeps one run for each begin, and goes on from the latest"
        )
    # April ends in P04 of the weeks, which begins later than April did. June ends in P06, which began in May already.
    assert [WEEKS.period(label).first.isoformat() for label in ("FY2026-P04", "FY2026-P06")] == [
        "2026-04-05", "2026-05-31",
    ]  # fmt: skip


def test_end_date_of_the_dag_is_kept() -> None:
    timetable = FiscalPeriodTimetable(MONTHS, TOKYO)
    restriction = TimeRestriction(moment("2026-01-01", TOKYO), moment("2026-02-28", TOKYO), catchup=True)
    last = timetable.interval(MONTHS.period("FY2026-P02"))
    assert timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction) is None


def test_without_any_bound_there_is_no_run() -> None:
    timetable = FiscalPeriodTimetable(MONTHS, TOKYO)
    restriction = TimeRestriction(None, None, catchup=True)
    assert timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction) is None


@pytest.mark.parametrize("kind", [DagRunType.SCHEDULED, DagRunType.MANUAL])
def test_run_id_has_the_label_of_the_period(kind: DagRunType) -> None:
    timetable = FiscalPeriodTimetable(MONTHS, LONDON)
    interval = timetable.interval(MONTHS.period("FY2026-P05"))
    run_id = timetable.generate_run_id(run_type=kind, run_after=interval.end, data_interval=interval)
    assert run_id == f"{kind.value}__FY2026-P05__2026-05-31T23:00:00+00:00"
    assert DagRunType.from_run_id(run_id) is kind
    odd = DataInterval(interval.start, interval.end.subtract(hours=1))
    for no_period in (None, odd, DataInterval(moment("1950-01-01"), moment("1950-02-01"))):
        plain = timetable.generate_run_id(run_type=kind, run_after=interval.end, data_interval=no_period)
        assert plain == f"{kind.value}__2026-05-31T23:00:00+00:00"


def test_what_people_read() -> None:
    timetable = FiscalPeriodTimetable(WEEKS, LONDON)
    assert timetable.summary == "fiscal periods: weeks"
    assert timetable.description == "After each period of the fiscal calendar weeks, in Europe/London"


def test_switched_off_it_has_runs_for_a_backfill_only_and_names_them_alike() -> None:
    off = FiscalPeriodTimetable(MONTHS, LONDON, by_itself=False, now=lambda: moment("2026-07-15T12:00"))
    restored = FiscalPeriodTimetable.deserialize(json.loads(json.dumps(off.serialize())))
    assert restored == off and off != FiscalPeriodTimetable(MONTHS, LONDON) and restored.periodic
    assert after(off, None, catchup=False) is None
    assert after(off, MONTHS.period("FY2026-P02"), catchup=False) is None
    assert runs(restored, "2026-01-01", "2026-02-28") == ["FY2026-P01", "FY2026-P02"]
    interval = off.interval(MONTHS.period("FY2026-P01"))
    assert off.infer_manual_data_interval(run_after=moment("2026-02-15")) == interval
    named = off.generate_run_id(run_type=DagRunType.MANUAL, run_after=moment("2026-02-15"), data_interval=interval)
    assert named.startswith("manual__FY2026-P01__")
    assert (
        off.description
        == "For each period of the fiscal calendar months, in Europe/London; by backfill or by hand only"
    )
    old = {name: value for name, value in off.serialize().items() if name != "by_itself"}
    assert FiscalPeriodTimetable.deserialize(old).by_itself


@pytest.mark.parametrize("calendar", [MONTHS, WEEKS, SHORT])
def test_it_is_restored_from_json_without_any_file(calendar: Calendar) -> None:
    timetable = FiscalPeriodTimetable(calendar, LONDON)
    data: dict[str, Any] = json.loads(json.dumps(timetable.serialize()))
    restored = FiscalPeriodTimetable.deserialize(data)
    assert restored == timetable and hash(restored) == hash(timetable)
    assert [restored.interval(one) for one in restored.calendar.periods] == [
        timetable.interval(one) for one in calendar.periods
    ]
    assert restored != FiscalPeriodTimetable(calendar, TOKYO) and restored != "another"


def test_unknown_time_zone_is_refused_when_the_dag_is_read() -> None:
    FiscalPeriodTimetable(MONTHS, LONDON).validate()
    with pytest.raises(AirflowTimetableInvalid, match="calendar months: unknown time zone 'Moon/Base'"):
        FiscalPeriodTimetable(MONTHS, "Moon/Base").validate()


def test_bounds_of_airflow_and_of_the_model_are_the_same_instants() -> None:
    period = MONTHS.period("FY2026-P07")
    begin, end = period.bounds(ZoneInfo(NEW_YORK))
    assert FiscalPeriodTimetable(MONTHS, NEW_YORK).interval(period) == (begin, end)
    assert begin == datetime(2026, 7, 1, 4, tzinfo=UTC)
