"""The tie-out pages: what a controller reads, what the files hold, and who may sign."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import openpyxl
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from tests.support.pages import as_, token
from tests.support.reconciliation import DUPLICATE, LINK, OLD, ROUNDING, TODAY, Break, Morning, reconcile

DAY = f"/tie-outs/{LINK}/{TODAY}"
PATHS = [
    "/", f"/tie-outs/{LINK}", DAY, f"{DAY}/print", f"{DAY}/workbook.xlsx", f"{DAY}/items.csv", "/breaks",
    "/breaks/export.csv", "/breaks/export.xlsx", "/breaks/1", "/breaks/1/attachments/1", "/matches", "/health",
    "/receivables", "/runs",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nothing_of_finance_is_shown_to_nobody_or_to_a_stranger(seen: tuple[TestClient, Morning], path: str) -> None:
    client, _ = seen
    anonymous = client.get(f"/tieout{path}")
    assert anonymous.status_code == 401
    assert "acme_eu" not in anonymous.text.replace(f"next=/tieout{path}", "")
    assert client.get(f"/tieout{path}", headers=as_("mallory")).status_code == 403


@pytest.mark.parametrize("person", ["vera", "petra", "rex", "oskar", "dana"])
def test_every_role_reads_the_tie_out(seen: tuple[TestClient, Morning], person: str) -> None:
    client, _ = seen
    page = client.get(f"/tieout{DAY}", headers=as_(person))
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert ("Sign as preparer" in page.text) == (person == "petra")
    assert not re.search(r"<script(?! src=)|\sstyle=|\son\w+=|&#34;", page.text), (
        "the policy forbids inline script and style"
    )


def cells(page: str, table: str, row: str) -> list[str]:
    """The texts of the first row of a table that begins with `row`."""
    body = page[page.index(table) :]
    found = re.search(rf'<tr[^>]*><th scope="row">{row}</th>(.*?)</tr>', body, re.S)
    assert found is not None
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", found.group(1), re.S)]


def test_both_sides_their_difference_and_what_explains_it(seen: tuple[TestClient, Morning]) -> None:
    client, _ = seen
    page = client.get(f"/tieout{DAY}", headers=as_("vera")).text
    assert "Ties out: every difference is explained by 26 breaks, 4 of them new." in page
    assert cells(page, 'id="tieout-EUR"', "Invoices")[:6] == [
        "1,208,361.21", "1,203,871.20", "4,490.01", "4,490.01", "0.00", "1,204 / 1,204",
    ]  # fmt: skip
    assert cells(page, 'id="tieout-EUR"', "Prices")[2] == "1.2500"
    assert cells(page, 'id="tieout-JPY"', "Invoices")[:3] == ["9,931,400", "9,931,400", "0"]


def test_roll_forward_opens_with_yesterday_and_closes_with_today(seen: tuple[TestClient, Morning]) -> None:
    client, _ = seen
    page = client.get(f"/tieout{DAY}", headers=as_("vera")).text
    assert cells(page, 'id="roll"', "Invoices") == [
        "EUR", "120.00", "4,400.01", "30.00", "0.00", "4,490.01", "12 + 3 − 2 = 13",
    ]  # fmt: skip


def test_overview_shows_each_link_its_state_and_trend(seen: tuple[TestClient, Morning]) -> None:
    client, _ = seen
    page = client.get("/tieout/", headers=as_("vera")).text
    assert "ties out" in page and "4 new" in page
    assert f'href="/tieout/tie-outs/{LINK}/{TODAY}"' in page
    assert page.count("<rect") == 18, "a bar for each reconciled day"
    assert "2026-11-26: 26 breaks, 4 new" in page


def test_a_run_of_airflow_leads_to_its_tie_out(seen: tuple[TestClient, Morning]) -> None:
    client, morning = seen
    answer = client.get(
        f"/tieout/airflow-run?dag_id=reconciliation__{LINK}&run_id=scheduled__1", headers=as_("vera"),
        follow_redirects=False,
    )  # fmt: skip
    assert answer.headers["location"] == f"/tieout{DAY}?report={morning.today.report_id}"


@pytest.mark.parametrize("path", [f"/tie-outs/{LINK}/2026-11-01", "/tie-outs/nobody", f"/tie-outs/{LINK}/yesterday"])
def test_a_day_that_was_not_reconciled_is_not_found(seen: tuple[TestClient, Morning], path: str) -> None:
    client, _ = seen
    assert client.get(f"/tieout{path}", headers=as_("vera")).status_code in (404, 422)


def test_workbook_of_the_day_has_every_break_and_foots(seen: tuple[TestClient, Morning]) -> None:
    client, morning = seen
    answer = client.get(f"/tieout{DAY}/workbook.xlsx", headers=as_("vera"))
    assert answer.headers["content-disposition"] == 'attachment; filename="tie-out_acme_eu_2026-11-26.xlsx"'
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    rows = sum(
        isinstance(row[0].value, int) for name in ("Invoices", "Payments", "Prices") for row in book[name].iter_rows()
    )
    assert rows == len(morning.breaks)


def test_page_to_print_lists_every_break(seen: tuple[TestClient, Morning]) -> None:
    client, morning = seen
    page = client.get(f"/tieout{DAY}/print", headers=as_("vera")).text
    assert all(one.row()["explanation"].split(":")[0].replace("'", "&#39;") in page for one in morning.breaks)


def sign(client: TestClient, person: str, role: str, hash_: str, report: int, csrf: str | None = None) -> int:
    csrf = token(client, person, DAY) if csrf is None else csrf
    data = {"report": report, "seen": hash_, "note": "month end", "csrf": csrf}
    return client.post(f"/tieout{DAY}/sign/{role}", data=data, headers=as_(person), follow_redirects=False).status_code


def test_preparer_signs_then_another_person_reviews(finance: tuple[TestClient, Engine, Morning]) -> None:
    client, engine, morning = finance
    report, hash_ = morning.today.report_id, str(morning.today.hash)
    assert sign(client, "petra", "preparer", hash_, report) == 303
    assert "Sign as reviewer" in client.get(f"/tieout{DAY}", headers=as_("rex")).text
    assert sign(client, "rex", "reviewer", hash_, report) == 303
    page = client.get(f"/tieout{DAY}", headers=as_("vera")).text
    assert re.search(r"preparer</span> <strong>petra", page) and re.search(r"reviewer</span> <strong>rex", page)
    with engine.connect() as conn:
        told = conn.execute(text("select actor from tieout.audit_event where event = 'report.signed' order by seq"))
        assert list(told.scalars()) == ["petra", "rex"]


@pytest.mark.parametrize(
    ("person", "role"), [("petra", "reviewer"), ("rex", "preparer"), ("vera", "preparer"), ("oskar", "reviewer")]
)
def test_nobody_signs_in_a_role_that_is_not_theirs(
    finance: tuple[TestClient, Engine, Morning], person: str, role: str
) -> None:
    client, engine, morning = finance
    assert sign(client, person, role, str(morning.today.hash), morning.today.report_id, "any") == 403
    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from tieout.sign_off")).scalar_one() == 0


def test_signing_needs_the_form_and_the_figures_that_were_shown(finance: tuple[TestClient, Engine, Morning]) -> None:
    client, engine, morning = finance
    report, hash_ = morning.today.report_id, str(morning.today.hash)
    assert sign(client, "petra", "preparer", hash_, report, csrf="0" * 64) == 403
    assert sign(client, "petra", "preparer", "0" * 64, report) == 409
    assert sign(client, "petra", "preparer", str(morning.before.hash), morning.before.report_id) == 404
    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from tieout.sign_off")).scalar_one() == 0


def test_a_late_payment_suspends_the_sign_off_and_shows_the_one_line(
    finance: tuple[TestClient, Engine, Morning],
) -> None:
    client, engine, morning = finance
    sign(client, "petra", "preparer", str(morning.today.hash), morning.today.report_id)
    late = Break("payment:p-9", -7700, "unapplied_cash", "payments", "EUR", "presence", a_keys=(),
                 b_keys=("payment:p-9",), explanation="Payment p-9 of 77.00 is set against nothing.")  # fmt: skip
    reconcile(engine, TODAY, [*morning.breaks, late])
    page = client.get(f"/tieout{DAY}", headers=as_("petra")).text
    assert "preparer, suspended" in page
    changed = page[page.index("what changed") :]
    changed = changed[: changed.index("</details>")]
    assert "Payments: unapplied cash" in changed and "not there" in changed and "-77.00" in changed
    assert changed.count("<tr>") == 3, "the heading, the CRM's total, the one break"
    assert "Sign as preparer" in page, "it can be signed anew"


def test_a_day_that_does_not_tie_out_says_by_how_much_and_takes_no_signature(
    finance: tuple[TestClient, Engine, Morning],
) -> None:
    client, engine, _ = finance
    day = TODAY + timedelta(days=1)
    report = reconcile(engine, day, [DUPLICATE, ROUNDING, *OLD], off_by=1234)
    page = client.get(f"/tieout/tie-outs/{LINK}/{day}", headers=as_("petra")).text
    assert "Does not tie out: 12.34 EUR of invoices unexplained." in page
    assert "Sign as" not in page
    data = {"report": report.report_id, "seen": report.hash, "csrf": token(client, "petra", "/breaks")}
    answer = client.post(f"/tieout/tie-outs/{LINK}/{day}/sign/preparer", data=data, headers=as_("petra"))
    assert answer.status_code == 409 and "unexplained" in answer.text
