"""The page of fiscal periods: states beside the ledger's locks, who may do what, and reopening by two people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.engine import Engine

from tests.support import pages
from tests.support.delivery import RUN, intent
from tests.support.pages import as_, token
from tests.support.standings import closed, locked
from tieout.delivery import intents
from tieout.model.calendar import Calendar, Period, parse
from tieout.scenarios.periods.locks import Line, findings
from tieout.store import audit, periods

LINK = "demo"
MONTHS: Calendar = parse("calendar_months", {"kind": "months"})
PAGE = f"/periods?link={LINK}"


@pytest.fixture
def month(engine: Engine) -> Period:
    """The last whole month, by the database's clock."""
    with engine.connect() as conn:
        today: date = conn.execute(sa.text("select current_date")).scalar_one()
    before = MONTHS.before(MONTHS.period_of(today))
    assert before is not None
    return before


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(pages.app(engine, tmp_path), follow_redirects=False) as opened:
        yield opened


def read(client: TestClient, person: str = "vera", path: str = PAGE) -> str:
    answer = client.get(f"/tieout{path}", headers=as_(person))
    assert answer.status_code == 200, answer.text
    return answer.text


def post(client: TestClient, person: str, path: str, **fields: Any) -> tuple[int, str]:
    csrf = fields.pop("csrf", None) or token(client, person, PAGE)
    sent = client.post(f"/tieout{path}", headers=as_(person), data={"csrf": csrf, "link": LINK, **fields})
    return sent.status_code, sent.headers.get("location", "") + sent.text


def said(client: TestClient, person: str, where: str) -> str:
    page = read(client, person, where.removeprefix("/tieout"))
    note = re.search(r'<p class="note" role="status">(.*?)</p>', page)
    assert note is not None
    return note.group(1)


def state_of(engine: Engine, month: Period) -> str | None:
    with engine.connect() as conn:
        found = periods.state_of(conn, LINK, month.label)
    return None if found is None else found.state


def test_nobody_and_a_stranger_see_nothing_and_a_link_that_is_none_is_said(client: TestClient) -> None:
    assert client.get(f"/tieout{PAGE}").status_code == 401
    assert client.get(f"/tieout{PAGE}", headers=as_("mallory")).status_code == 403
    missing = client.get("/tieout/periods?link=nowhere", headers=as_("vera"))
    assert missing.status_code == 404 and "no link &#39;nowhere&#39;" in missing.text


def test_a_reader_sees_states_and_no_form(client: TestClient, engine: Engine, month: Period) -> None:
    closed(engine, month)
    page = read(client)
    assert f"{month.label}</a></th>" in page and ">closed</span>" in page and "rex</td>" in page
    assert "The ledger has no lock date" in page
    assert f"{month.label} is closed here, and the ledger is not locked at all" in page
    assert '<form method="post"' not in page
    assert not re.search(r"<script(?! src=)|\sstyle=|\son\w+=", page)


def test_the_ledgers_locks_stand_beside_and_what_differs_is_a_finding(
    client: TestClient, engine: Engine, month: Period
) -> None:
    locked(engine, month.last)
    page = read(client)
    assert f"The ledger&#39;s own: period lock date {month.last}" in page
    assert re.search(rf"12 periods from FY\d+-P\d+ to {month.label} are not closed here", page)
    closed(engine, month)
    assert re.search(r"11 periods from FY\d+-P\d+ to FY\d+-P\d+ are not closed here", read(client))
    assert "is closed here, and the ledger" not in read(client)


#: In March.
TODAY = date(2026, 3, 20)


def test_findings_name_one_period_or_the_first_and_the_last() -> None:
    january, february, march = MONTHS.between(date(2026, 1, 1), date(2026, 3, 1))

    def line(period: Period, state: str, ledger: str) -> Line:
        return Line(period, state, None, None, ledger, None)

    assert findings([line(january, "closed", "locked"), line(february, "open", "open")], january.last, TODAY) == []
    until = date(2026, 2, 14)
    (one,) = findings([line(february, "closed", "partly locked"), line(march, "closing", "open")], until, TODAY)
    assert one.startswith("FY2026-P02 is closed here, and the ledger is locked up to 2026-02-14 only")
    assert one.endswith("set the ledger's lock date to 2026-02-28")
    (other,) = findings([line(january, "open", "locked"), line(february, "closing", "locked")], february.last, TODAY)
    assert other.startswith("2 periods from FY2026-P01 to FY2026-P02 are not closed here")
    (ahead,) = findings([line(march, "open", "partly locked")], TODAY, TODAY)
    assert ahead.startswith("the ledger is locked up to 2026-03-20, and today is 2026-03-20: nothing dated up to then")


def test_who_prepares_begins_and_stops_closing(client: TestClient, engine: Engine, month: Period) -> None:
    status, where = post(client, "petra", "/periods/begin-closing", label=month.label, note="the month is over")
    assert status == 303 and state_of(engine, month) == "closing"
    assert said(client, "petra", where).startswith(f"{month.label} is closing")
    status, where = post(client, "petra", "/periods/stop-closing", label=month.label)
    assert status == 303 and state_of(engine, month) == "open"
    page = read(client, "vera", f"{PAGE}&label={month.label}")
    assert page.index("closing stopped") < page.index("closing begun") and "the month is over" in page
    with engine.connect() as conn:
        actors = conn.execute(sa.text("select actor from tieout.audit_event where event like 'period.%'")).scalars()
        assert set(actors) == {"petra"} and audit.verify(conn, f"link:{LINK}") is None


def test_one_asks_and_another_one_decides(client: TestClient, engine: Engine, month: Period) -> None:
    closed(engine, month)
    status, where = post(client, "petra", "/periods/reopen", label=month.label, reason="an invoice was forgotten")
    assert status == 303 and "stays closed until another person" in said(client, "petra", where)
    assert state_of(engine, month) == "closed"
    assert "petra asks to reopen it: an invoice was forgotten" in read(client, "rex")
    with engine.connect() as conn:
        (asked,) = periods.reopenings(conn, LINK)
    decide = f"/periods/reopenings/{asked.reopening_id}/decide"
    status, where = post(client, "rex", decide, label=month.label, verdict="agreed", note="until Friday")
    assert status == 303 and said(client, "rex", where) == f"{month.label} is open again."
    assert state_of(engine, month) == "open"
    status, text = post(client, "petra", "/periods/reopen", label=month.label, reason="once more")
    assert status == 409 and "is open: there is nothing to reopen" in text


def test_the_database_wants_another_person_where_the_role_would_allow_it(
    client: TestClient, engine: Engine, month: Period
) -> None:
    closed(engine, month)
    with engine.begin() as conn:
        asked = periods.ask_to_reopen(conn, LINK, month.label, "Rex", "late")
    decide = f"/periods/reopenings/{asked}/decide"
    status, text = post(client, "rex", decide, label=month.label, verdict="agreed")
    assert status == 409 and "another person has to agree" in text and state_of(engine, month) == "closed"
    status, text = post(client, "rex", decide, label=month.label, verdict="refused")
    assert status == 409 and "needs a reason" in text
    assert post(client, "rex", decide, label=month.label, verdict="refused", note="found it")[0] == 303


def test_another_periods_reopening_is_not_decided_here(client: TestClient, engine: Engine, month: Period) -> None:
    closed(engine, month)
    with engine.begin() as conn:
        asked = periods.ask_to_reopen(conn, LINK, month.label, "petra", "late")
    status, _ = post(client, "rex", f"/periods/reopenings/{asked}/decide", label="FY1999-P01", verdict="agreed")
    assert status == 404 and state_of(engine, month) == "closed"


CHANGES = [
    ("/periods/begin-closing", {}, "petra"), ("/periods/stop-closing", {}, "petra"),
    ("/periods/reopen", {"reason": "late"}, "petra"), ("/periods/reopenings/1/decide", {"verdict": "agreed"}, "rex"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "fields", "person"), CHANGES)
def test_each_change_wants_its_right_and_its_token(
    client: TestClient, engine: Engine, month: Period, path: str, fields: dict[str, str], person: str
) -> None:
    closed(engine, month)
    with engine.begin() as conn:
        periods.ask_to_reopen(conn, LINK, month.label, "eve", "late")
    for other in {"vera", "petra", "rex", "oskar", "dana"} - {person}:
        assert post(client, other, path, label=month.label, csrf="0" * 64, **fields)[0] == 403
    assert client.post(f"/tieout{path}", data=fields).status_code == 401
    assert post(client, person, path, label=month.label, csrf="0" * 64, **fields)[0] == 403
    assert state_of(engine, month) == "closed"


def test_what_cannot_be_done_is_said(client: TestClient, engine: Engine, month: Period) -> None:
    csrf = token(client, "petra", PAGE)
    status, text = post(client, "petra", "/periods/begin-closing", label="FY1850-P01", csrf=csrf)
    assert status == 404 and "no period is named" in text
    status, text = post(client, "petra", "/periods/stop-closing", label=month.label, csrf=csrf)
    assert status == 409 and "begin closing it first" in text
    with engine.begin() as conn:
        intents.add(conn, [intent(1, link=LINK, posting_date=month.last)], RUN, "test")
    assert post(client, "petra", "/periods/begin-closing", label=month.label, csrf=csrf)[0] == 303
