"""Fiscal calendars: against published ones, by properties over many definitions, and what a bad one is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.model.calendar import FIRST_YEAR, LAST_YEAR, Calendar, OutOfCalendar, parse
from tieout.model.errors import ConfigurationFault

DAY = timedelta(days=1)
SATURDAY, SUNDAY = "saturday", "sunday"


def weeks(pattern: str, weekday: str, month: int, rule: str, **more: Any) -> Calendar:
    ends = {"weekday": weekday, "month": month, "rule": rule}
    return parse("weeks", {"kind": "weeks", "pattern": pattern, "year_ends": ends, **more})


def four_weeks(weekday: str, month: int, rule: str) -> Calendar:
    return parse("four", {"kind": "four_weeks", "year_ends": {"weekday": weekday, "month": month, "rule": rule}})


def ends_of(calendar: Calendar, years: range | list[int]) -> list[str]:
    return [calendar.year(year)[-1].last.isoformat() for year in years]


def length(calendar: Calendar, year: int) -> int:
    """In weeks."""
    return sum(period.days for period in calendar.year(year)) // 7


# Published calendars.


NRF = weeks("4-5-4", SATURDAY, 1, "nearest", year_named="begins")


def test_retail_years_of_53_weeks_are_those_that_the_retail_federation_names() -> None:
    # nrf.com/resources/4-5-4-calendar: FY'12, FY'17 and FY'23; an older edition of the page adds FY'00 and FY'06.
    assert [year for year in range(2000, 2028) if length(NRF, year) == 53] == [2000, 2006, 2012, 2017, 2023]


def test_retail_year_2023_ends_on_3_february_2024() -> None:
    # coresight.com, "The 4-5-4 US Retail Calendar, 2023-24".
    assert NRF.year(2023)[-1].last == date(2024, 2, 3)
    assert NRF.year(2024)[0].first == date(2024, 2, 4)
    assert [period.days // 7 for period in NRF.year(2023)] == [4, 5, 4] * 3 + [4, 5, 5]


def test_4_4_5_of_2010_by_the_saturday_nearest_to_the_end_of_december() -> None:
    # FinancialForce help, "What is a 4,4,5 Calendar?": all twelve periods of a year from 3 January 2010.
    calendar = weeks("4-4-5", SATURDAY, 12, "nearest")
    assert [(one.first.isoformat(), one.last.isoformat()) for one in calendar.year(2010)] == [
        ("2010-01-03", "2010-01-30"), ("2010-01-31", "2010-02-27"), ("2010-02-28", "2010-04-03"),
        ("2010-04-04", "2010-05-01"), ("2010-05-02", "2010-05-29"), ("2010-05-30", "2010-07-03"),
        ("2010-07-04", "2010-07-31"), ("2010-08-01", "2010-08-28"), ("2010-08-29", "2010-10-02"),
        ("2010-10-03", "2010-10-30"), ("2010-10-31", "2010-11-27"), ("2010-11-28", "2011-01-01"),
    ]  # fmt: skip
    assert (calendar.year(2011)[0].first, calendar.year(2011)[-1].last) == (date(2011, 1, 2), date(2011, 12, 31))


def test_4_4_5_of_2019_by_the_last_saturday_of_april() -> None:
    # Claris community, "Fiscal Years and Calculating Quarters", 14 March 2019: all twelve periods of fiscal 2019.
    calendar = weeks("4-4-5", SATURDAY, 4, "last")
    assert [one.last.isoformat() for one in calendar.year(2019)] == [
        "2018-05-26", "2018-06-23", "2018-07-28", "2018-08-25", "2018-09-22", "2018-10-27",
        "2018-11-24", "2018-12-22", "2019-01-26", "2019-02-23", "2019-03-23", "2019-04-27",
    ]  # fmt: skip
    assert calendar.year(2019)[0].first == date(2018, 4, 29)


def test_last_saturday_of_august() -> None:
    # Wikipedia, "4-4-5 calendar", section "Last Saturday of the month at fiscal year end".
    assert ends_of(weeks("4-4-5", SATURDAY, 8, "last"), range(2006, 2014)) == [
        "2006-08-26", "2007-08-25", "2008-08-30", "2009-08-29", "2010-08-28", "2011-08-27", "2012-08-25", "2013-08-31",
    ]  # fmt: skip


def test_apple_has_53_weeks_in_2017_and_2023_and_the_extra_one_in_the_first_quarter() -> None:
    # Forms 10-K for the years ended 30 September 2017 and 2023 (0000320193-17-000070, -23-000106); Form 10-Q for the
    # quarter ended 31 December 2022 (0000320193-23-000006), 14 weeks; 5-4-4 with the leap week at the end of the first
    # quarter: calendars.fandom.com, "Apple Fiscal Calendar".
    apple = weeks("5-4-4", SATURDAY, 9, "last", week_53=3)
    assert ends_of(apple, [2017, 2023]) == ["2017-09-30", "2023-09-30"]
    assert [year for year in range(2013, 2028) if length(apple, year) == 53] == [2017, 2023]
    assert [period.days // 7 for period in apple.year(2023)] == [5, 4, 5] + [5, 4, 4] * 3
    assert apple.period("FY2023-P03").last == date(2022, 12, 31)


def test_cisco_ends_on_the_last_saturday_of_july() -> None:
    # Annual report 2011, note 1: "the 52 or 53 weeks ending on the last Saturday in July"; Forms 10-K for 2005, 2012
    # and 2013; press release of 11 August 2010.
    cisco = weeks("4-4-5", SATURDAY, 7, "last")
    found = ends_of(cisco, [2005, 2010, 2012, 2013])
    assert found == ["2005-07-30", "2010-07-31", "2012-07-28", "2013-07-27"]
    assert (length(cisco, 2010), length(cisco, 2011)) == (53, 52)


def test_starbucks_ends_on_the_sunday_nearest_to_30_september() -> None:
    # Forms 10-K for 2016, 2018 and 2019; press releases of 29 October 2015 (52 weeks) and 3 November 2016 (53 weeks, a
    # fourth quarter of 14).
    starbucks = weeks("4-4-5", SUNDAY, 9, "nearest")
    found = ends_of(starbucks, [2015, 2016, 2018, 2019])
    assert found == ["2015-09-27", "2016-10-02", "2018-09-30", "2019-09-29"]
    assert [length(starbucks, year) for year in (2015, 2016, 2017)] == [52, 53, 52]
    assert sum(period.days for period in starbucks.year(2016)[-3:]) == 14 * 7


def test_best_buy_names_the_retail_year_after_its_end() -> None:
    # Forms 10-K for the years ended 28 January 2017 and 3 February 2018 ("fiscal 2018"); Forms 10-Q for the quarters
    # ended 5 May and 3 November 2018.
    best_buy = weeks("4-5-4", SATURDAY, 1, "nearest")
    assert ends_of(best_buy, [2017, 2018]) == ["2017-01-28", "2018-02-03"]
    assert (best_buy.period("FY2019-P03").last, best_buy.period("FY2019-P09").last) == (
        date(2018, 5, 5), date(2018, 11, 3),
    )  # fmt: skip


def test_spartannash_has_thirteen_periods_of_four_weeks() -> None:
    # Forms 10-K and 10-Q as listed at q10k.com/SPTN: quarters of 16, 12, 12 and 12 weeks, that is 4, 3, 3 and 3 periods
    # of four weeks; the year ended 3 January 2015 has a last quarter of 13.
    calendar = four_weeks(SATURDAY, 12, "nearest")
    assert ends_of(calendar, range(2013, 2020)) == [
        "2013-12-28", "2015-01-03", "2016-01-02", "2016-12-31", "2017-12-30", "2018-12-29", "2019-12-28",
    ]  # fmt: skip
    quarters = [calendar.period(f"FY{year}-P{number:02}").last.isoformat()
                for year in (2014, 2015, 2016) for number in (4, 7, 10)]  # fmt: skip
    assert quarters == [
        "2014-04-19", "2014-07-12", "2014-10-04", "2015-04-25", "2015-07-18", "2015-10-10",
        "2016-04-23", "2016-07-16", "2016-10-08",
    ]  # fmt: skip
    assert [period.days // 7 for period in calendar.year(2014)] == [4] * 12 + [5]


def test_fiscal_year_of_the_united_kingdom_and_of_the_united_states() -> None:
    # Companies to 31 March, named after the year in which they end; the federal fiscal year (31 USC 1102).
    british = parse("uk", {"kind": "months", "year_starts": 4})
    assert british.period("FY2026-P01").first == date(2025, 4, 1)
    assert british.period("FY2026-P12").last == date(2026, 3, 31)
    federal = parse("us", {"kind": "months", "year_starts": 10})
    assert federal.period_of(date(2025, 10, 1)).label == "FY2026-P01"
    begins = parse("in", {"kind": "months", "year_starts": 4, "year_named": "begins"})
    assert begins.period("FY2025-P01").first == date(2025, 4, 1)


# Any calendar.


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["months", "weeks", "four_weeks"]))
    named = draw(st.sampled_from(["ends", "begins"]))
    if kind == "months":
        return {"kind": kind, "year_starts": draw(st.integers(1, 12)), "year_named": named}
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    ends = {"weekday": draw(st.sampled_from(days)), "month": draw(st.integers(1, 12)),
            "rule": draw(st.sampled_from(["last", "nearest"]))}  # fmt: skip
    made: dict[str, Any] = {"kind": kind, "year_ends": ends, "year_named": named}
    if kind == "weeks":
        made["pattern"] = draw(st.sampled_from(["4-4-5", "4-5-4", "5-4-4"]))
    made["week_53"] = draw(st.integers(1, 12 if kind == "weeks" else 13))
    return made


@given(definitions())
def test_every_day_is_in_exactly_one_period_and_every_year_has_its_own(definition: dict[str, Any]) -> None:
    calendar = parse("any", definition)
    for before, period in pairwise(calendar.periods):
        assert before.first <= before.last
        assert period.first == before.last + DAY
    assert len({period.label for period in calendar.periods}) == len(calendar.periods)
    number = 13 if definition["kind"] == "four_weeks" else 12
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        periods = calendar.year(year)
        assert [(one.year, one.number) for one in periods] == [(year, at) for at in range(1, number + 1)]
        days = sum(period.days for period in periods)
        assert days in ((365, 366) if definition["kind"] == "months" else (364, 371))
        if days == 371:
            longer = {"4-4-5": (4, 4, 5) * 4, "4-5-4": (4, 5, 4) * 4, "5-4-4": (5, 4, 4) * 4}
            usual = longer[definition["pattern"]] if definition["kind"] == "weeks" else (4,) * 13
            more = [period.days // 7 - week for period, week in zip(periods, usual, strict=True)]
            assert [at for at, extra in enumerate(more, 1) if extra] == [definition["week_53"]]


def year_end_by_search(weekday: str, month: int, rule: str, year: int) -> date:
    """Tries the days around the end of the month one by one."""
    end = date(year + month // 12, month % 12 + 1, 1) - DAY
    around = [end + at * DAY for at in range(-6, 7) if (end + at * DAY).strftime("%A").lower() == weekday]
    if rule == "last":
        return max(day for day in around if day <= end)
    return min(around, key=lambda day: abs((day - end).days))


@given(definitions(), st.integers(FIRST_YEAR + 1, LAST_YEAR - 1))
def test_year_of_weeks_ends_where_the_rule_says(definition: dict[str, Any], year: int) -> None:
    if definition["kind"] == "months":
        return
    periods = parse("any", definition).year(year)
    ends = definition["year_ends"]
    later = definition["year_named"] == "begins" and ends["month"] < 12
    assert periods[-1].last == year_end_by_search(**ends, year=year + later)
    assert periods[0].first - DAY == year_end_by_search(**ends, year=year + later - 1)


@given(definitions(), st.dates(date(1992, 1, 1), date(2096, 12, 31)))
def test_a_day_finds_its_period_and_its_neighbours(definition: dict[str, Any], day: date) -> None:
    calendar = parse("any", definition)
    period = calendar.period_of(day)
    assert period.first <= day <= period.last
    assert calendar.period(period.label) == period
    after, before = calendar.after(period), calendar.before(period)
    assert after and before
    assert (before.last + DAY, after.first - DAY) == (period.first, period.last)
    assert calendar.between(period.first, after.first) == (period, after)
    assert calendar.between(period.first + DAY, period.last) == ()


@given(definitions())
def test_plain_data_gives_the_same_calendar(definition: dict[str, Any]) -> None:
    calendar = parse("any", definition)
    assert parse("any", calendar.plain()) == calendar


@given(
    st.sampled_from(sorted(available_timezones() - {"Factory", "localtime"})),
    st.dates(date(1995, 1, 1), date(2060, 1, 1)),
)
def test_periods_follow_each_other_at_one_instant_in_every_time_zone(zone: str, day: date) -> None:
    calendar = parse("any", {"kind": "months"})
    period = calendar.period_of(day)
    after = calendar.after(period)
    assert after
    begin, end = period.bounds(ZoneInfo(zone))
    assert begin < end == after.bounds(ZoneInfo(zone))[0]
    # The first instant of the day is of that day, and the one before it is not.
    assert begin.astimezone(ZoneInfo(zone)).date() >= period.first
    assert (begin - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < period.first


# Instants.


def test_bounds_are_days_of_the_link_in_summer_and_in_winter() -> None:
    calendar = parse("months", {"kind": "months"})
    march, july = calendar.period("FY2026-P03"), calendar.period("FY2026-P07")
    london = ZoneInfo("Europe/London")
    assert march.bounds(london) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, 23, tzinfo=UTC))
    assert july.bounds(london) == (datetime(2026, 6, 30, 23, tzinfo=UTC), datetime(2026, 7, 31, 23, tzinfo=UTC))


def test_period_begins_with_the_change_of_the_clock_where_that_skips_midnight() -> None:
    # São Paulo 2017: at midnight of 15 October the clock went on to 01:00.
    calendar = parse("c", {"kind": "custom", "years": {2017: [
        {"first": date(2017, 10, 1), "last": date(2017, 10, 14)},
        {"first": date(2017, 10, 15), "last": date(2017, 10, 31)}]}})  # fmt: skip
    begin, _ = calendar.periods[1].bounds(ZoneInfo("America/Sao_Paulo"))
    assert begin == datetime(2017, 10, 15, 3, tzinfo=UTC)
    assert begin.astimezone(ZoneInfo("America/Sao_Paulo")).hour == 1


def test_period_begins_with_the_first_of_two_midnights() -> None:
    # Havana 2026: at 01:00 of 1 November the clock goes back to midnight.
    november = parse("months", {"kind": "months"}).period("FY2026-P11")
    assert november.bounds(ZoneInfo("America/Havana"))[0] == datetime(2026, 11, 1, 4, tzinfo=UTC)


# Bad input.


def test_day_outside_of_the_calendar_is_refused_with_its_reach() -> None:
    calendar = parse("short", {"kind": "custom", "years": {2026: [{"first": "2026-01-01", "last": "2026-12-31"}]}})
    for day in (date(2025, 12, 31), date(2027, 1, 1)):
        with pytest.raises(OutOfCalendar, match=f"no period has the day {day}: it reaches from 2026-01-01"):
            calendar.period_of(day)
    with pytest.raises(OutOfCalendar, match="no fiscal year 2031: it has FY2026 to FY2026"):
        calendar.year(2031)
    assert calendar.after(calendar.periods[0]) is None
    assert calendar.before(calendar.periods[0]) is None
    assert calendar.between(date(2027, 1, 1), date(2026, 1, 1)) == ()


@pytest.mark.parametrize(("label", "hint"), [
    ("fy26-p5", "fiscal year 2026 has FY2026-P01 to FY2026-P12"),
    ("FY2026-P13", "fiscal year 2026 has FY2026-P01 to FY2026-P12"),
    ("FY-2026-P5", "fiscal year 2026 has FY2026-P01 to FY2026-P12"),
    ("FY2150-P01", "did you mean FY"),
    ("may", "it has FY1990-P01 to FY2099-P12"),
    ("", "it has FY1990-P01 to FY2099-P12"),
])  # fmt: skip
def test_unknown_label_names_the_nearest(label: str, hint: str) -> None:
    with pytest.raises(ConfigurationFault, match=hint):
        parse("months", {"kind": "months"}).period(label)


def test_period_of_another_calendar_has_no_neighbours_in_this_one() -> None:
    months = parse("months", {"kind": "months"})
    with pytest.raises(ConfigurationFault, match="FY2026-P01 from 2026-01-01 to 2026-01-31 is no period of it"):
        NRF.after(months.period("FY2026-P01"))


FIRST = {"first": "2026-01-01", "last": "2026-01-31"}


@pytest.mark.parametrize(("data", "said"), [
    ({}, "kind: expected months, weeks, four_weeks, custom, found None"),
    ({"kind": "lunar"}, "found 'lunar'"),
    ({"kind": "months", "year_starts": 13}, "year_starts: .*12.*found 13"),
    ({"kind": "months", "pattern": "4-4-5"}, "pattern: Extra inputs"),
    ({"kind": "weeks", "pattern": "4-4-5"}, "year_ends: Field required"),
    ({"kind": "custom", "years": {}}, "expected at least one fiscal year"),
    ({"kind": "custom", "years": {2026: []}}, "fiscal year 2026 has no periods"),
    ({"kind": "custom", "years": {2026: [FIRST], 2028: [{"first": "2026-02-01", "last": "2026-02-28"}]}},
     "2027 has no periods"),
    ({"kind": "custom", "years": {2026: [FIRST, {"first": "2026-02-02", "last": "2026-02-28"}]}},
     "FY2026-P02 starts on 2026-02-02: a gap of 1 day.s.; expected 2026-02-01"),
    ({"kind": "custom", "years": {2026: [FIRST, {"first": "2026-01-31", "last": "2026-02-28"}]}},
     "an overlap of 1 day.s.; expected 2026-02-01"),
    ({"kind": "custom", "years": {2026: [{"first": "2026-01-01", "last": "2025-12-31"}]}}, "it would be empty"),
    ({"kind": "custom", "years": {2026: [{**FIRST, "label": "a/b"}]}}, "a label is up to 40 letters"),
    ({"kind": "custom", "years": {2026: [{**FIRST, "label": "FY2026-P02"},
                                         {"first": "2026-02-01", "last": "2026-02-28"}]}}, "FY2026-P02 is there twice"),
])  # fmt: skip
def test_definition_that_does_not_hold_is_refused(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationFault, match=said):
        parse("bad", data)
