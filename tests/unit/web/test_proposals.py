"""The pages of proposals: what they show, and that only another person with the form of what is shown approves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import Header, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support.delivery import TARGET, intent
from tieout.delivery.intents import add
from tieout.scenarios.approval import frozen_intents
from tieout.store import documents, proposals
from tieout.store.documents import Judgement
from tieout.store.proposals import Item, New
from tieout.web.app import Visitor, create_app
from tieout.web.sources import Sources

RUN = UUID("00000000-0000-4000-8000-000000000001")
VOID = intent(1, "natural.void", kind="void", source_entity="order")
ITEM = Item(
    "invoice", "v-1", "INV-1", intent(1).doc_uid, "Order", "1", "1", "GBP", 1234500, "void", "unpaid",
    "nothing was paid on it: it is <b>voided</b>", "books_invoice", 7, frozen_intents([VOID]),
)  # fmt: skip


def authorize(method: str) -> Callable[..., Visitor]:
    """vera may look; oskar and olga may decide on proposals."""

    def visitor(x_person: str = Header("")) -> Visitor:
        if x_person not in ("vera", "oskar", "olga") or (method == "decide" and x_person == "vera"):
            raise HTTPException(403, "Not yours")
        return Visitor(x_person, False, frozenset() if x_person == "vera" else frozenset({"decide"}))

    return visitor


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    sources = Sources(open_engine=lambda: engine, matrix=lambda crm, ledger: [], docs_home=tmp_path)
    pages = create_app(authorize, sources, b"a secret of the test", lambda asked: "/auth/login/")
    with TestClient(Starlette(routes=[Mount("/tieout", pages)])) as client:
        yield client


@pytest.fixture
def proposed(engine: Engine) -> str:
    """The page of a proposal that oskar made, on one invoice that was posted."""
    with engine.begin() as conn:
        add(conn, [intent(1)], RUN, "test")
        conn.exec_driver_sql("update tieout.intent set state = 'CONFIRMED', vendor_id = 'v-1'")
        conn.exec_driver_sql(
            "create table staging.books_invoice as "
            f"select '{TARGET}' as _connection, 'v-1' as _source_id, 7::bigint as _version"
        )
        documents.upsert(conn, "acme", "order", [Judgement("1", "1", "posted", 3, revision=1)], RUN)
        left = replace(ITEM, vendor_id="v-2", vendor_number="INV-2", action="none", why="closed", intents=())
        made = proposals.propose(
            conn, New("rollback", "acme", TARGET, "wrong prices", "Oskar", False, RUN, [ITEM, left])
        )
    return f"/tieout/proposals/{made}"


def send(client: TestClient, page: str, person: str, verdict: str, **changes: str) -> tuple[int, str]:
    """Fills in the form of the page as `person` sees it, and says what came of it."""
    form = client.get(page, headers={"x-person": person}).text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    data = {**fields, "verdict": verdict, "note": "", **changes}
    answer = client.post(f"{page}/decide", data=data, headers={"x-person": person}, follow_redirects=False)
    return answer.status_code, answer.text


def test_a_proposal_is_shown_with_its_sums_and_nothing_of_it_is_executed(client: TestClient, proposed: str) -> None:
    listed = client.get("/tieout/proposals?state=proposed", headers={"x-person": "vera"}).text
    assert f'href="{proposed}"' in listed and "12,345.00 GBP" in listed
    assert "None." in client.get("/tieout/proposals?state=done", headers={"x-person": "vera"}).text
    page = client.get(proposed, headers={"x-person": "vera"})
    assert "12,345.00" in page.text and "wrong prices" in page.text and "INV-2" in page.text
    assert "&lt;b&gt;voided" in page.text and "<b>voided" not in page.text
    assert "<button" not in page.text.split("<h2>Documents")[1]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?://", page.text)
    assert client.get("/tieout/proposals/99", headers={"x-person": "vera"}).status_code == 404


def test_who_made_it_cannot_approve_it_and_a_form_of_another_cannot_either(client: TestClient, proposed: str) -> None:
    own = client.get(proposed, headers={"x-person": "oskar"}).text
    assert "another person approves it" in own and "Approve what is shown" not in own
    assert send(client, proposed, "oskar", "approve")[0] == 409
    assert send(client, proposed, "olga", "approve", csrf="0" * 64)[0] == 403
    assert send(client, proposed, "olga", "approve", seen="0" * 64)[0] == 409
    assert send(client, proposed, "vera", "approve", csrf="x", seen="y")[0] == 403


def test_another_person_approves_what_is_shown(client: TestClient, engine: Engine, proposed: str) -> None:
    assert send(client, proposed, "olga", "approve", note="agreed with finance")[0] == 303
    page = client.get(proposed, headers={"x-person": "vera"}).text
    assert "by olga: agreed with finance" in page and "void READY" in page
    with engine.connect() as conn:
        kinds = conn.exec_driver_sql("select kind from tieout.intent order by intent_id").scalars().all()
        actors = conn.exec_driver_sql("select actor from tieout.audit_event where event = 'proposal.approved'").all()
    assert (kinds, [row.actor for row in actors]) == (["invoice", "void"], ["olga"])
    assert send(client, proposed, "oskar", "refuse", csrf="gone")[0] == 403


def test_a_refusal_needs_a_reason_and_does_nothing(client: TestClient, engine: Engine, proposed: str) -> None:
    assert send(client, proposed, "olga", "refuse")[0] == 400
    assert send(client, proposed, "oskar", "refuse", note="the prices were right")[0] == 303
    assert "the prices were right" in client.get(proposed, headers={"x-person": "vera"}).text
    with engine.connect() as conn:
        assert conn.exec_driver_sql("select count(*) from tieout.intent").scalar_one() == 1
