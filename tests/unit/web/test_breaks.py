"""Breaks on the pages: found by filter, sorted, paged, exported as filtered, read with both sides, decided on."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from tests.support.pages import app, as_, token
from tests.support.reconciliation import (
    DUPLICATE,
    EDITED,
    LINK,
    ROUNDING,
    TODAY,
    Break,
    Morning,
    reconcile,
    suggest,
)  # fmt: skip

Seen = tuple[TestClient, Morning]
Acting = tuple[TestClient, Engine, Morning]


def get(client: TestClient, path: str, person: str = "vera") -> str:
    answer = client.get(f"/tieout{path}", headers=as_(person))
    assert answer.status_code == 200, answer.text
    return answer.text


def listed(page: str) -> list[int]:
    """The ids of the breaks that a list shows, in order."""
    return [int(number) for number in re.findall(r'<td class="nowrap"><a href="/tieout/breaks/(\d+)">', page)]


def exported(client: TestClient, query: str) -> list[dict[str, str]]:
    answer = client.get(f"/tieout/breaks/export.csv?{query}", headers=as_("vera"))
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def expected(morning: Morning, **wanted: Any) -> int:
    return sum(all(getattr(one, name) == value for name, value in wanted.items()) for one in morning.breaks)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", {}),
        ("area=payments", {"area": "payments"}),
        ("class=tax", {"class_": "tax"}),
        ("currency=GBP", {"currency": "GBP"}),
        ("area=invoices&class=amount&currency=EUR", {"area": "invoices", "class_": "amount", "currency": "EUR"}),
        ("tolerance=within", {"within_tolerance": True}),
        ("state=open", {}),
        ("owner=-", {}),
        ("text=brasserie+DU", {"customer_name": "Brasserie du Port"}),
        ("text=INV-20419", {"numbers": ("INV-20419",)}),
        ("text=001AAA", {"customer_id": "001AAA"}),
        ("text=100%25", {"customer_name": "nobody"}),
    ],
)
def test_a_filter_chooses_what_it_says_on_the_page_and_in_the_file(
    seen: Seen, query: str, wanted: Mapping[str, Any]
) -> None:
    client, morning = seen
    count = expected(morning, **wanted)
    page = get(client, f"/breaks?{query}")
    assert len(listed(page)) == count
    rows = exported(client, query)
    assert [int(row["Break"]) for row in rows] == listed(page), "the file has what is filtered, in its order"
    answer = client.get(f"/tieout/breaks/export.xlsx?{query}", headers=as_("vera"))
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    in_book = [
        row[0].value for sheet in book.worksheets[1:] for row in sheet.iter_rows() if isinstance(row[0].value, int)
    ]
    assert sorted(in_book) == sorted(listed(page))


def test_amounts_over_are_in_the_unit_of_the_amount(seen: Seen) -> None:
    client, _ = seen
    over = [row["Amount (A - B)"] for row in exported(client, "over=440")]
    assert over == ["4000.00", "2150.50", "-440.00"]
    assert len(exported(client, "over=440.01")) == 2
    assert client.get("/tieout/breaks?over=lots", headers=as_("vera")).status_code == 400


def test_new_ones_are_those_of_the_newest_day(seen: Seen) -> None:
    client, _ = seen
    assert {row["Class"] for row in exported(client, "new=1")} == {
        "duplicate",
        "amount",
        "rejected or held",
        "rounding",
    }


def test_ages_do_not_overlap_and_make_up_the_whole(seen: Seen) -> None:
    client, morning = seen
    counts = {
        age: len(exported(client, f"age={age.replace(' ', '+')}")) for age in ("0-30", "31-60", "61-90", "over 90")
    }
    assert sum(counts.values()) == len(morning.breaks) and all(counts.values())
    page = get(client, "/breaks/ages")
    assert "over 90 days" in page and "<svg" in page


@pytest.mark.parametrize(
    ("sort", "column"),
    [("oldest", "First seen"), ("customer", "Customer"), ("class", "Class"), ("owner", "Owner")],
)
def test_a_list_is_sorted_as_asked(seen: Seen, sort: str, column: str) -> None:
    client, _ = seen
    values = [row[column] for row in exported(client, f"sort={sort}")]
    assert len(values) == 26
    with_collation = [value.casefold() for value in values]
    if sort != "customer":  # the database's language decides about Ż and Å
        assert with_collation == sorted(with_collation)
    assert 'aria-sort="' in get(client, f"/breaks?sort={sort}")


def test_pages_follow_each_other_without_gap_or_repetition(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    client, morning = seen
    monkeypatch.setattr("tieout.web.breaks.PAGE", 7)
    for sort in ("amount", "oldest", "customer", "due", "owner", "class"):
        found: list[int] = []
        path: str | None = f"/breaks?sort={sort}"
        while path:
            page = get(client, path)
            found += listed(page)
            link = re.search(r'href="/tieout(/breaks\?[^"]+)" rel="next"', page)
            path = unescape(link.group(1)) if link else None
        assert len(found) == len(set(found)) == len(morning.breaks), sort


def test_both_records_stand_side_by_side_with_what_differs_marked(seen: Seen) -> None:
    client, _ = seen
    (number,) = listed(get(client, "/breaks?text=INV-20419"))
    page = get(client, f"/breaks/{number}")
    marked = re.findall(r'<tr class="differs"><th scope="row">(\w[\w ]*?) <', page)
    assert set(marked) == {"unit price", "net"}
    assert "82.00</td><td>62.00" in page
    assert "&#34;InvoiceNumber&#34;: &#34;INV-20419&#34;" in page, "the record as it came"
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
    assert 'href="/tieout/trace?key=801B"' in page and 'href="/tieout/trace?key=i-2"' in page
    assert client.get("/tieout/breaks/999999", headers=as_("vera")).status_code == 404


def number_of(engine: Engine, key: str) -> int:
    with engine.connect() as conn:
        return int(
            conn.execute(text("select break_id from tieout.break where a_keys[1] = :key"), {"key": key}).scalar_one()
        )


def post(client: TestClient, person: str, path: str, csrf: str | None = None, **data: Any) -> tuple[int, str]:
    csrf = token(client, person, path.rpartition("/")[0] or path) if csrf is None else csrf
    answer = client.post(f"/tieout{path}", data={"csrf": csrf, **data}, headers=as_(person), follow_redirects=False)
    return answer.status_code, answer.text


def row(engine: Engine, number: int) -> Any:
    with engine.connect() as conn:
        return conn.execute(text("select * from tieout.break where break_id = :id"), {"id": number}).one()


def test_a_controller_assigns_with_a_note_accepts_a_cent_sets_a_day(finance: Acting) -> None:
    client, engine, _ = finance
    edited, cent = number_of(engine, EDITED.key), number_of(engine, ROUNDING.key)
    assert post(client, "petra", f"/breaks/{edited}/assign", owner="sales", note="who edited the price?")[0] == 303
    assert post(client, "petra", f"/breaks/{edited}/due", due_on="2026-11-30")[0] == 303
    assert post(client, "petra", f"/breaks/{cent}/accept", reason="rounding", note="half a cent")[0] == 303
    found = row(engine, edited)
    assert (found.owner, found.due_on) == ("sales", date(2026, 11, 30))
    assert (row(engine, cent).state, row(engine, cent).reason_code) == ("accepted", "rounding")
    page = get(client, f"/breaks/{edited}", "petra")
    assert "who edited the price?" in page and "petra" in page
    with engine.connect() as conn:
        audited = conn.execute(text("select actor, event from tieout.audit_event where actor = 'petra' order by seq"))
        assert [one.event for one in audited] == ["break.assigned", "break.due", "break.accepted"]


def test_what_is_above_the_tolerance_is_not_accepted(finance: Acting) -> None:
    client, engine, _ = finance
    edited = number_of(engine, EDITED.key)
    assert "Accept</button>" not in get(client, f"/breaks/{edited}", "petra")
    status, body = post(client, "petra", f"/breaks/{edited}/accept", reason="other")
    assert status == 409 and "above the tolerance" in body
    assert row(engine, edited).state == "open"


def test_only_a_reviewer_closes_and_not_what_they_handed_over(finance: Acting) -> None:
    client, engine, _ = finance
    number = number_of(engine, DUPLICATE.key)
    for state in ("with_preparer", "with_reviewer"):
        assert post(client, "petra", f"/breaks/{number}/move", state=state)[0] == 303
    assert post(client, "petra", f"/breaks/{number}/move", state="closed")[0] == 403
    assert "Close</button>" in get(client, f"/breaks/{number}", "rex")
    assert post(client, "rex", f"/breaks/{number}/move", state="closed")[0] == 303
    assert row(engine, number).state == "closed"


def test_a_decision_on_what_another_has_changed_meanwhile_is_refused(finance: Acting) -> None:
    client, engine, _ = finance
    number = number_of(engine, EDITED.key)
    seen_at = row(engine, number).updated_at.isoformat()
    assert post(client, "rex", f"/breaks/{number}/assign", owner="treasury", seen=seen_at)[0] == 303
    status, body = post(client, "petra", f"/breaks/{number}/assign", owner="sales", seen=seen_at)
    assert status == 409 and "look again" in body
    assert row(engine, number).owner == "treasury"


def test_many_are_assigned_at_once_and_the_filter_is_kept(finance: Acting) -> None:
    client, _, _ = finance
    csrf = token(client, "petra", "/breaks")
    chosen = listed(get(client, "/breaks?class=tax", "petra"))
    answer = client.post(
        "/tieout/breaks/bulk", headers=as_("petra"), follow_redirects=False,
        data={"csrf": csrf, "owner": "tax desk", "break_id": chosen, "back": "link=acme_eu&class=tax&done=x"},
    )  # fmt: skip
    assert answer.headers["location"] == f"/tieout/breaks?link={LINK}&class=tax&assigned={len(chosen)}"
    assert listed(get(client, "/breaks?owner=tax+desk")) == chosen
    none = client.post("/tieout/breaks/bulk", headers=as_("petra"), data={"csrf": csrf, "owner": "x"})
    assert none.status_code == 400


ACTS = [
    ("/breaks/1/assign", {"owner": "x"}), ("/breaks/1/note", {"note": "x"}), ("/breaks/1/due", {"due_on": ""}),
    ("/breaks/1/accept", {"reason": "rounding"}), ("/breaks/1/move", {"state": "with_preparer"}),
    ("/breaks/1/reason", {"reason": "timing"}), ("/breaks/bulk", {"owner": "x", "break_id": "1"}),
    ("/breaks/1/propose", {"reason": "booked twice"}), ("/matches/1/confirmed", {}), ("/matches/1/refused", {}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "data"), ACTS)
def test_who_only_reads_decides_nothing_and_a_forged_form_neither(
    seen: Seen, path: str, data: Mapping[str, str]
) -> None:
    client, _ = seen
    for person in ("vera", "oskar", "dana"):
        assert post(client, person, path, csrf="0" * 64, **data)[0] == 403, person
    assert client.post(f"/tieout{path}", data=data).status_code == 401
    status, body = post(client, "petra", path, csrf="0" * 64, **data)
    assert status == 403 and "out of date" in body
    assert token(client, "rex", "/breaks") != token(client, "petra", "/breaks")
    assert post(client, "petra", path, csrf=token(client, "rex", "/breaks"), **data)[0] == 403


def test_evidence_is_kept_and_comes_back_as_a_file_never_as_a_page(finance: Acting) -> None:
    client, engine, _ = finance
    number = number_of(engine, DUPLICATE.key)
    csrf = token(client, "petra", f"/breaks/{number}")
    letter = b"The bank says,it was one transfer"
    done = client.post(
        f"/tieout/breaks/{number}/attach", data={"csrf": csrf}, headers=as_("petra"), follow_redirects=False,
        files={"file": ("bank letter.csv", letter, "text/html")},
    )  # fmt: skip
    assert done.status_code == 303, done.text
    page = get(client, f"/breaks/{number}")
    link = re.search(rf'href="/tieout(/breaks/{number}/attachments/\d+)"', page)
    assert link is not None and "bank letter.csv" in page
    answer = client.get(f"/tieout{link.group(1)}", headers=as_("vera"))
    assert answer.content == letter
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    script = client.post(
        f"/tieout/breaks/{number}/attach", data={"csrf": csrf}, headers=as_("petra"),
        files={"file": ("page.html", b"<script>alert(1)</script>", "text/html")},
    )  # fmt: skip
    assert script.status_code == 409


def test_a_match_is_confirmed_by_a_person_and_remembered(finance: Acting) -> None:
    client, engine, _ = finance
    number = suggest(
        engine, ["order:801B"], ["payment:p-7"], "0.8700", reason="amount and customer agree, the reference does not",
        a={"order:801B": {"number": "801B", "due": "1,640.00"}}, b={"payment:p-7": {"amount": "1,640.00"}},
    )  # fmt: skip
    board = get(client, "/matches", "petra")
    assert "0.87" in board and "the reference does not" in board and "1,640.00" in board
    assert "Confirm match" not in get(client, "/matches")
    assert post(client, "petra", f"/matches/{number}/confirmed", csrf=token(client, "petra", "/matches"))[0] == 303
    assert f"Match {number} is confirmed" in get(client, f"/matches?done=confirmed&number={number}")
    with engine.connect() as conn:
        kept = conn.execute(text("select state, decided_by from tieout.matching")).one()
        assert tuple(kept) == ("confirmed", "petra")


def test_a_document_without_a_record_is_linked_to_the_one_that_a_person_names(engine: Engine, tmp_path: Path) -> None:
    asked: list[tuple[Any, ...]] = []

    def proposer(*given: Any) -> int:
        asked.append(given)
        return 7

    by_hand = Break(
        "invoice:i-9", -9900, "missing_in_crm", fix="relink", a_keys=(), b_keys=("invoice:i-9",), component="presence"
    )
    reconcile(engine, TODAY, [by_hand])
    with engine.connect() as conn:
        number = conn.execute(text("select break_id from tieout.break")).scalar_one()
    client = TestClient(app(engine, tmp_path, proposer=proposer))
    assert 'name="record"' in get(client, f"/breaks/{number}", "petra")
    given = {"reason": "made by hand in March", "record": " 00000101 "}
    status, _ = post(client, "petra", f"/breaks/{number}/propose", **given)
    assert status == 303 and asked == [(LINK, [number], "petra", "made by hand in March", "00000101")]


def test_a_proposal_that_cannot_be_made_says_why(finance: Acting) -> None:
    client, engine, _ = finance
    number = number_of(engine, DUPLICATE.key)
    assert "Propose: void duplicate" in get(client, f"/breaks/{number}", "petra")
    assert post(client, "petra", f"/breaks/{number}/propose")[0] == 400
    status, body = post(client, "petra", f"/breaks/{number}/propose", reason="booked twice")
    assert status == 409 and "Nothing was proposed" in body
