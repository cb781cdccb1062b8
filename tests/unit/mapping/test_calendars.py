"""Calendar files: those that are shipped, and what a bad one is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.mapping.frames import INCLUDE
from tests.unit.mapping.test_load import written
from tieout.mapping.load import load_calendar, load_link
from tieout.model.calendar import CALENDAR_MONTHS, Custom, parse
from tieout.model.errors import ConfigurationFault

CALENDARS = sorted(file.stem for file in (INCLUDE / "calendars").glob("*.yaml"))
LINK = (INCLUDE / "links" / "demo.yaml").read_text(encoding="utf-8")


def test_the_shipped_calendars_are_those_that_the_readme_names() -> None:
    readme = (INCLUDE / "calendars" / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in readme for name in CALENDARS)
    for name in CALENDARS:
        assert load_calendar(INCLUDE, name).periods


@pytest.mark.parametrize(("name", "years"), [("weeks_445", (2020, 2025)), ("retail_454", (2017, 2023)),
                                             ("four_weeks", (2023, 2028))])  # fmt: skip
def test_long_years_are_those_that_the_file_names(name: str, years: tuple[int, ...]) -> None:
    calendar = load_calendar(INCLUDE, name)
    text = (INCLUDE / "calendars" / f"{name}.yaml").read_text(encoding="utf-8")
    assert all(str(year) in text for year in years)
    long = [year for year in range(min(years), max(years) + 1)
            if sum(period.days for period in calendar.year(year)) == 371]  # fmt: skip
    assert long == list(years)


def test_the_default_is_what_its_file_says_and_needs_no_file(tmp_path: Path) -> None:
    assert load_calendar(INCLUDE, "calendar_months") == CALENDAR_MONTHS
    assert load_calendar(tmp_path, "calendar_months") == CALENDAR_MONTHS
    assert load_link(written(tmp_path, "links/demo.yaml", LINK)).calendar == "calendar_months"


def test_the_example_of_dates_is_what_the_loader_takes(tmp_path: Path) -> None:
    example = (INCLUDE / "calendars" / "README.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    written(tmp_path, "calendars/own.yaml", example)
    calendar = load_calendar(tmp_path / "include", "own")
    assert isinstance(calendar.definition, Custom)
    assert [period.label for period in calendar.periods] == ["SHORT-2025", "FY2026-P01", "FY2026-P02", "FY2026-P03"]
    # A DAG reads the same file with another library.
    assert parse("own", yaml.safe_load(example)) == calendar


def test_unknown_calendar_of_a_link_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    written(tmp_path, "calendars/weeks.yaml", (INCLUDE / "calendars" / "weeks_445.yaml").read_text(encoding="utf-8"))
    path = written(tmp_path, "links/demo.yaml", LINK + "\ncalendar: week\n")
    line = len((LINK + "\ncalendar: week").splitlines())
    with pytest.raises(ConfigurationFault) as caught:
        load_link(path)
    expected = "no calendar 'week': include/calendars has calendar_months, weeks"
    assert str(caught.value) == f"include/links/demo.yaml:{line}: {expected}"


@pytest.mark.parametrize("name", ["../links/demo", "", "Weeks", "weeks_445.yaml"])
def test_name_of_a_calendar_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationFault, match=r"no calendar '.*': include/calendars has calendar_months, "):
        load_calendar(INCLUDE, name)
    with pytest.raises(ConfigurationFault, match=r"include/links/demo.yaml:\d+: 'calendar': "):
        load_link(written(tmp_path, "links/demo.yaml", f"{LINK}\ncalendar: '{name}'\n"))


FAULTS = {
    "kind: lunar\n": "1: 'kind': expected months, weeks, four_weeks, custom, found 'lunar'",
    "pattern: 4-4-5\n": "1: 'kind': expected months, weeks, four_weeks, custom, found 'nothing'",
    "kind: week\n": "1: 'kind': expected months, weeks, four_weeks, custom, found 'week'; did you mean 'weeks'?",
    "- kind: months\n": "1: expected keys and values, found a list",
    "kind: months\nyear_starts: 0\n": "2: 'year_starts': input should be greater than or equal to 1, found 0",
    "kind: months\n\nyear_start: 4\n": "3: unknown field 'year_start'; did you mean 'year_starts'?",
    "kind: weeks\npattern: 4-4-4\nyear_ends: {weekday: saturday, month: 9, rule: last}\n":
        "2: 'pattern': expected 4-4-5, 4-5-4, 5-4-4, found '4-4-4'; did you mean '5-4-4'?",
    "kind: weeks\npattern: 4-4-5\nyear_ends:\n  weekday: samstag\n  month: 9\n  rule: last\n":
        "4: 'weekday' in 'year_ends': expected monday, tuesday, wednesday, thursday, friday, saturday, sunday, "
        "found 'samstag'",
    "kind: four_weeks\nyear_ends: {weekday: sunday, month: 12, rule: last}\nweek_53: 14\n":
        "3: 'week_53': input should be less than or equal to 13, found 14",
    "kind: custom\nyears:\n  2026:\n    - {first: 2026-01-01, last: 2026-01-31}\n"
    "    - {first: 2026-02-02, last: 2026-02-28}\n":
        "5: FY2026-P02 starts on 2026-02-02: a gap of 1 day(s); expected 2026-02-01, the day after the period before",
    "kind: custom\nyears:\n  2026:\n    - {first: 2026-01-01, last: 2026-13-31}\n":
        "4: 'last' in 'years.2026.0': input should be a valid date or datetime, month value is outside expected range "
        "of 1-12, found '2026-13-31'",
    "kind: custom\nyears:\n  2026: []\n": "3: fiscal year 2026 has no periods",
}  # fmt: skip


@pytest.mark.parametrize("text", FAULTS)
def test_fault_of_a_calendar_file_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    written(tmp_path, "calendars/bad.yaml", text)
    with pytest.raises(ConfigurationFault) as caught:
        load_calendar(tmp_path / "include", "bad")
    assert str(caught.value) == f"include/calendars/bad.yaml:{FAULTS[text]}"


def test_fault_of_its_calendar_is_the_links(tmp_path: Path) -> None:
    written(tmp_path, "calendars/bad.yaml", "kind: custom\nyears: {}\n")
    with pytest.raises(ConfigurationFault, match=r"demo.yaml:\d+: include/calendars/bad.yaml:2: expected at least"):
        load_link(written(tmp_path, "links/demo.yaml", LINK + "\ncalendar: bad\n"))
