"""`tieout calendar`: the periods of a link or a file, and what is told where there are none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command
from tieout.model.settings import PROJECT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two links: one with a calendar of weeks, one whose calendar is not there."""
    made = tmp_path / "project"
    (made / "include" / "links").mkdir(parents=True)
    (made / "include" / "calendars").symlink_to(PROJECT / "include" / "calendars")
    text = (PROJECT / "include" / "links" / "demo.yaml").read_text(encoding="utf-8")
    for name, calendar in (("weeks", "weeks_445"), ("lost", "week_445")):
        (made / "include" / "links" / f"{name}.yaml").write_text(
            text.replace("name: demo", f"name: {name}") + f"\ncalendar: {calendar}\n"
        )
    monkeypatch.setattr("tieout.model.settings.PROJECT", made)
    return made


def test_periods_of_a_link_with_their_instants(command: Command, project: Path) -> None:
    shown = command("calendar", "weeks", "--year", "2026").stdout
    assert "Fiscal year 2026 of weeks: calendar weeks_445, days in Europe/London" in shown
    (line,) = [line for line in shown.splitlines() if "FY2026-P03" in line]
    assert [cell.strip() for cell in line.split("│")] == [
        "FY2026-P03", "2026-03-01", "2026-04-04", "5", "35", "2026-03-01 00:00", "2026-04-04 23:00",
    ]  # fmt: skip
    assert shown.count("FY2026-P") == 12


def test_present_period_is_marked_and_its_year_is_shown_without_being_asked(command: Command) -> None:
    (current,) = [one for one in json.loads(command("calendar", "demo", "--json").stdout) if one["current"]]
    now = datetime.now(UTC)
    begin, end = (datetime.fromisoformat(current[name]) for name in ("begin", "end"))
    # A month may end between the command and this line.
    assert begin <= now < end + timedelta(minutes=5)
    assert f"{current['label']}* " in command("calendar", "demo").stdout


def test_periods_of_a_file_are_days_in_utc(command: Command) -> None:
    periods = json.loads(command("calendar", "--file", "retail_454", "--year", "2023", "--json").stdout)
    assert [one["weeks"] for one in periods] == [4, 5, 4] * 3 + [4, 5, 5]
    assert (periods[0]["begin"], periods[-1]["end"]) == ("2023-01-29 00:00:00+00:00", "2024-02-04 00:00:00+00:00")
    months = json.loads(command("calendar", "--file", "calendar_months", "--year", "2024", "--json").stdout)
    assert [(one["weeks"], one["days"]) for one in months[:2]] == [(None, 31), (None, 29)]


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "name a link, or a calendar with --file"),
    (("weeks", "--file", "weeks_445"), "name a link, or a calendar with --file"),
    (("nowhere",), "no link 'nowhere': include/links has lost, weeks"),
    (("lost",), "no calendar 'week_445': include/calendars has calendar_months, four_weeks, retail_454, weeks_445"),
    (("--file", "lunar"), "no calendar 'lunar': include/calendars has"),
    (("weeks", "--year", "1850"), "calendar weeks_445: no fiscal year 1850: it has FY1990 to FY2099"),
])  # fmt: skip
def test_what_there_is_not_is_told(command: Command, project: Path, arguments: tuple[str, ...], said: str) -> None:
    result = command("calendar", *arguments)
    assert result.exit_code == 65 and said in result.stderr
