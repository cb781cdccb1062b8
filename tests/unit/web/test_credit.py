"""The pages of credit: what they show, errors of a file by line, approval by another person, a held order let go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import Header, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.routing import Mount

from tieout.mapping.load import load_system
from tieout.model.settings import PROJECT
from tieout.store import audit, credit, credit_positions, documents, staging
from tieout.store.credit import Limit
from tieout.store.credit_positions import Standing
from tieout.store.documents import Judgement
from tieout.web.app import Visitor, create_app
from tieout.web.sources import Sources

RUN = UUID("00000000-0000-4000-8000-000000000001")
ACME, LEEDS, NEW = "001000000000001AAA", "001000000000002AAA", "001000000000003AAA"
HEADER = "customer,currency,limit,valid_from,shares_with\n"


def authorize(method: str) -> Callable[..., Visitor]:
    """vera may look; oskar and olga may decide."""

    def visitor(x_person: str = Header("")) -> Visitor:
        if x_person not in ("vera", "oskar", "olga") or (method == "PUT" and x_person == "vera"):
            raise HTTPException(403, "Not yours")
        return Visitor(x_person, x_person != "vera")

    return visitor


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    sources = Sources(open_engine=lambda: engine, matrix=lambda crm, ledger: [], docs_home=tmp_path, page_size=2)
    pages = create_app(authorize, sources, b"a secret of the test", lambda asked: "/auth/login/")
    with TestClient(Starlette(routes=[Mount("/tieout", pages)])) as client:
        yield client


@pytest.fixture
def synced(engine: Engine) -> None:
    """Three customers as a credit sync left them: Acme, Leeds that shares its limit, and a doubtful one."""
    entity = load_system(PROJECT / "include" / "mappings", "salesforce")["credit"].staged_entity()
    parents = {ACME: None, LEEDS: ACME, NEW: None}
    names = {ACME: "Acme <b>Ltd</b>", LEEDS: "Acme Leeds", NEW: "New Ltd"}
    records = [
        {"Id": key, "Name": names[key], "CurrencyIsoCode": "GBP", "ParentId": parent,
         "SystemModstamp": "2026-01-01T00:00:00.000+0000"}
        for key, parent in parents.items()
    ]  # fmt: skip
    with engine.begin() as conn:
        staging.ensure(conn, entity)
        change = credit.propose(conn, "demo", [
            Limit(ACME, date(2026, 1, 1), "GBP", 50000, line=2),
            Limit(LEEDS, date(2026, 1, 1), shares_with=ACME, line=3),
        ], "Ann", "limits.csv")  # fmt: skip
        credit.decide(conn, change, "Bob", approved=True, note="as agreed")
        credit_positions.keep(conn, "demo", [
            Standing(ACME, names[ACME], "GBP", 50000, 62000, 12000, -12001),
            Standing(LEEDS, names[LEEDS], "GBP", 50000, 1, 0, -12001),
            Standing(NEW, names[NEW], "GBP", reason="stale_balance", message="invoice INV-1 says something else"),
        ])  # fmt: skip
    staging.stage(engine, entity, "salesforce_demo", [records], RUN)


def page(client: TestClient, path: str, person: str = "vera") -> str:
    answer = client.get(f"/tieout{path}", headers={"x-person": person})
    assert answer.status_code == 200, answer.text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?://", answer.text)
    return answer.text


def send(client: TestClient, shown: str, action: str, person: str, **changes: str) -> tuple[int, str]:
    """Fills in the page's form of that action as `person`, and says what came of it: status, and where it leads."""
    form = re.search(rf'<form[^>]*action="{action}".*?</form>', shown, re.S)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0])) if form else {}
    data = {**fields, **changes}
    answer = client.post(action, data=data, headers={"x-person": person}, follow_redirects=False)
    return answer.status_code, answer.headers.get("location", answer.text)


def upload(client: TestClient, person: str, *lines: str, **changes: str) -> tuple[int, str]:
    shown = page(client, "/credit", person)
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', shown)
    assert found
    answer = client.post(
        "/tieout/credit/changes", data={"csrf": found[1], "link": "demo", **changes}, headers={"x-person": person},
        files={"file": ("march.csv", HEADER + "".join(f"{line}\n" for line in lines))}, follow_redirects=False,
    )  # fmt: skip
    return answer.status_code, answer.headers.get("location", answer.text)


def test_before_the_first_sync_the_page_says_what_to_do(client: TestClient) -> None:
    assert "tieout credit-sync LINK" in page(client, "/credit")


@pytest.mark.usefixtures("synced")
def test_customers_are_shown_with_limit_balance_and_what_is_left(client: TestClient) -> None:
    first = page(client, "/credit")
    assert "3 customers, 1 to 2 shown" in first and "New Ltd" not in first
    assert "&lt;b&gt;" in first and "<b>Ltd" not in first
    assert "-120.01" in first and "620.00" in first and "2026-01-01" in first
    assert "stale balance" in page(client, "/credit?skip=2")
    assert "1 customer" in page(client, "/credit?show=doubtful") and "2 customers" in page(client, "/credit?show=over")
    assert "1 customer" in page(client, "/credit?text=leeds") and "None of this choice" in page(
        client, "/credit?text=%25"
    )
    one = page(client, f"/credit/customers/{LEEDS}?link=demo")
    assert "that of Acme &lt;b&gt;" in one and "Bob" in one and "as agreed" in one
    assert client.get("/tieout/credit/customers/x?link=demo", headers={"x-person": "vera"}).status_code == 404
    assert client.get("/tieout/credit?link=nothing", headers={"x-person": "vera"}).status_code == 503
    assert '<form class="line" method="post"' not in first, "vera only looks"


@pytest.mark.usefixtures("synced")
def test_one_bad_line_refuses_the_file_and_says_which(client: TestClient, engine: Engine) -> None:
    code, words = upload(
        client, "oskar", "Acme Leeds,GBP,-1,2026-02-01,", "Nobody,GBP,1,2026-02-01,", "New Ltd,GBP,9,2026-02-01,"
    )
    assert code == 422
    for expected in (
        "march.csv is refused",
        "2 lines cannot be taken",
        "negative limit",
        "unknown customer",
        "&#39;Nobody&#39;",
    ):
        assert expected in words
    with engine.connect() as conn:
        assert len(credit.changes(conn, "demo")) == 1, "nothing of it was taken"
    assert upload(client, "oskar", "x,\x00", link="nothing")[0] == 503
    assert upload(client, "oskar", "New Ltd,GBP,9,2026-02-01,", csrf="0" * 64)[0] == 403
    answer = client.post("/tieout/credit/changes", data={"csrf": "x", "link": "demo"}, headers={"x-person": "vera"},
                         files={"file": ("a.csv", "")})  # fmt: skip
    assert answer.status_code == 403, "vera only looks"


@pytest.mark.usefixtures("synced")
def test_a_file_of_one_person_is_approved_by_another_and_never_by_the_same(client: TestClient, engine: Engine) -> None:
    code, where = upload(client, "oskar", "New Ltd,GBP,900.00,2026-02-01,")
    assert (code, where.endswith("?done=proposed")) == (303, True)
    path = where.removesuffix("?done=proposed")
    own = page(client, path.removeprefix("/tieout"), "oskar")
    assert "another person approves it" in own and "Approve what is shown" not in own
    assert send(client, own, f"{path}/decide", "oskar", verdict="approve", note="")[0] == 409
    shown = page(client, path.removeprefix("/tieout"), "olga")
    assert "900.00" in shown and "New Ltd" in shown
    assert send(client, shown, f"{path}/decide", "olga", verdict="refuse", note=" ")[0] == 400
    assert send(client, shown, f"{path}/decide", "vera", verdict="approve", note="")[0] == 403
    assert send(client, shown, f"{path}/decide", "olga", verdict="approve", note="", csrf="0" * 64)[0] == 403
    assert send(client, shown, f"{path}/decide", "olga", verdict="approve", note="fine")[0] == 303
    assert send(client, shown, f"{path}/decide", "olga", verdict="refuse", note="late")[0] == 409
    with engine.connect() as conn:
        assert credit.in_force(conn, "demo", date(2026, 2, 1))[NEW].limit_minor == 90000
        events = conn.exec_driver_sql("select actor, event from tieout.audit_event order by seq desc limit 2").all()
        assert [tuple(row) for row in events] == [("olga", "credit.approved"), ("oskar", "credit.proposed")]
        assert audit.verify(conn, "link:demo") is None
    assert upload(client, "oskar", "New Ltd,GBP,900.00,2026-02-01,")[1].endswith("done=unchanged")
    assert "in force already" in page(client, "/credit?done=unchanged")


@pytest.mark.usefixtures("synced")
def test_a_held_order_is_let_go_by_a_named_person_for_what_it_was_seen_to_come_to(
    client: TestClient, engine: Engine
) -> None:
    def held(minor: int) -> None:
        judged = Judgement("801A", "00000007", "held", 3, reason="credit_exceeded", currency="GBP", source_minor=minor,
                           message="it asks for 1,481.47 more")  # fmt: skip
        with engine.begin() as conn:
            documents.upsert(conn, "demo", "order", [judged], RUN)

    held(123456)
    action = "/tieout/credit/releases"
    assert action not in page(client, "/credit", "vera")
    shown = page(client, "/credit", "olga")
    assert "1,234.56" in shown and "it asks for 1,481.47 more" in shown
    assert send(client, shown, action, "olga", note=" ")[0] == 400
    assert send(client, shown, action, "vera", note="paid")[0] == 403
    assert send(client, shown, action, "olga", note="paid", csrf="0" * 64)[0] == 403
    held(123457)
    code, words = send(client, shown, action, "olga", note="paid by cheque")
    assert code == 409 and "comes to something else now" in words
    code, where = send(client, page(client, "/credit", "olga"), action, "olga", note="paid by cheque")
    assert (code, where) == (303, "/tieout/credit?link=demo&done=released")
    after = page(client, "/credit", "olga")
    assert "<td>olga</td>" in after and action not in after and "paid by cheque" in after
    assert send(client, shown, action, "olga", note="again", amount_minor="123457")[0] == 409
    with engine.connect() as conn:
        (event,) = conn.exec_driver_sql("select actor, detail from tieout.audit_event where event = 'credit.released'")
        assert (event.actor, event.detail["note"]) == ("olga", "paid by cheque")
