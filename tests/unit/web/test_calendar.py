"""The page of the fiscal periods: who sees it, the table, the present period, and what is told in place of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tests.support import pages
from tests.support.pages import ROOT, as_


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(pages.app(engine, tmp_path)) as made:
        yield made


def rows(page: str) -> dict[str, list[str]]:
    """Label -> the texts of the other cells."""
    table = page[page.index('id="periods"') :]
    found = re.findall(r'<tr[^>]*><th scope="row">([\w.-]+)(.*?)</tr>', table, re.S)
    return {label: [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", rest, re.S)]
            for label, rest in found}  # fmt: skip


def test_nobody_and_strangers_see_no_calendar(client: TestClient) -> None:
    assert client.get("/tieout/calendar").status_code == 401
    assert client.get("/tieout/calendar", headers=as_("mallory")).status_code == 403


@pytest.mark.parametrize("person", sorted(pages.PEOPLE))
def test_every_role_reads_it(client: TestClient, person: str) -> None:
    page = client.get("/tieout/calendar?link=demo&year=2026", headers=as_(person))
    assert page.status_code == 200
    assert '<a href="/tieout/calendar" aria-current="page">Calendar</a>' in page.text
    assert not re.search(r"<script(?! src=)|\sstyle=|\son\w+=", page.text)
    assert rows(page.text)["FY2026-P07"] == [
        "2026-07-01", "2026-07-31", "", "31", "2026-06-30 23:00", "2026-07-31 23:00",
    ]  # fmt: skip
    assert len(rows(page.text)) == 12


def test_present_period_is_marked(client: TestClient) -> None:
    today = datetime.now(ZoneInfo("Europe/London"))
    page = client.get("/tieout/calendar?link=demo", headers=as_("vera")).text
    (marked,) = re.findall(r'<tr aria-current="date"><th scope="row">([\w-]+) ', page)
    assert marked == f"FY{today.year}-P{today.month:02}"
    past = client.get("/tieout/calendar?link=demo&year=2001", headers=as_("vera")).text
    assert 'aria-current="date"' not in past
    assert 'href="/tieout/calendar?link=demo&amp;year=2000"' in past
    assert 'href="/tieout/calendar?link=demo&amp;year=2002"' in past


def test_what_there_is_not_is_told(client: TestClient) -> None:
    unknown = client.get("/tieout/calendar?link=nowhere", headers=as_("vera"))
    assert unknown.status_code == 404 and "There is no link of this name." in unknown.text
    outside = client.get("/tieout/calendar?link=demo&year=2500", headers=as_("vera"))
    assert outside.status_code == 404 and "has the fiscal years 1990 to 2099" in outside.text
    assert client.get("/tieout/calendar?link=demo&year=x", headers=as_("vera")).status_code == 422


def test_fault_of_a_calendar_is_told_with_its_line(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    include = tmp_path / "include"
    (include / "links").mkdir(parents=True)
    (include / "calendars").mkdir()
    (include / "calendars" / "own.yaml").write_text("kind: months\nyear_starts: 13\n")
    text = (ROOT / "include" / "links" / "demo.yaml").read_text(encoding="utf-8")
    (include / "links" / "demo.yaml").write_text(f"{text}\ncalendar: own\n")
    monkeypatch.setattr("tieout.model.settings.PROJECT", tmp_path)
    page = client.get("/tieout/calendar?link=demo", headers=as_("vera"))
    assert page.status_code == 503 and "include/calendars/own.yaml:2: &#39;year_starts&#39;" in page.text
    (include / "links" / "demo.yaml").unlink()
    assert "There is no link in include/links." in client.get("/tieout/calendar", headers=as_("vera")).text
