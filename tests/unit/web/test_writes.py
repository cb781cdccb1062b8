"""The page of writes that are not settled: what it shows, to whom, and that each decision leaves a trail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support.delivery import intent, plan, rows, run, run_until_settled, states
from tests.support.ledger import MemoryLedger, VirtualClock
from tests.unit.web.test_pages import OPERATOR, VIEWER, authorize
from tieout.web.app import create_app
from tieout.web.sources import Sources


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    sources = Sources(open_engine=lambda: engine, matrix=lambda crm, ledger: [], docs_home=tmp_path, page_size=2)
    pages = create_app(authorize, sources, b"a secret of the test", lambda asked: "/auth/login/")
    with TestClient(Starlette(routes=[Mount("/tieout", pages)])) as client:
        yield client


@pytest.fixture
def ids(engine: Engine) -> dict[str, int]:
    """source id -> intent: 1 is held (its number was taken), 2 refused, 3 uncertain, 4 held with two candidates."""
    ledger = MemoryLedger(VirtualClock())
    ledger.make("INV-1", b'{"number": "INV-1", "amount": 777}')
    refused = intent(2, body={"refuse": "validation"}, owner="<i>bob</i>", currency="JPY", amount_minor=1234)
    plan(engine, [intent(1, owner="ann"), refused], ledger.clock)
    run_until_settled(engine, ledger)
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(4)], ledger.clock)
    run(engine, ledger)
    for _ in range(2):
        ledger.make("INV-4", b'{"number": "INV-4", "amount": 1000}')
    run_until_settled(engine, ledger)
    ledger.faults = iter(["lost_answer"])
    plan(engine, [intent(3)], ledger.clock)
    run(engine, ledger)
    assert states(engine) == {"1": "HELD", "2": "REJECTED", "4": "HELD", "3": "UNKNOWN"}
    return {
        row["source_id"]: row["intent_id"] for row in rows(engine, "select source_id, intent_id from tieout.intent")
    }


def shown(client: TestClient, query: str = "", person: dict[str, str] = OPERATOR) -> str:
    answer = client.get(f"/tieout/writes{query}", headers=person)
    assert answer.status_code == 200
    return answer.text


def decide(client: TestClient, number: int, act: str, person: dict[str, str] = OPERATOR, **fields: str) -> Response:
    (csrf,) = set(re.findall(r'name="csrf" value="(\w+)"', shown(client))) or {""}
    return client.post(
        f"/tieout/writes/{number}/{act}", headers=person, data={"csrf": csrf, **fields}, follow_redirects=False
    )


def numbers(page: str) -> list[str]:
    table = page[page.index('id="writes"') :] if 'id="writes"' in page else ""
    return re.findall(r'/tieout/writes/\d+">(INV-\d)<', table)


def test_nothing_is_shown_to_nobody_and_nothing_is_decided_by_a_reader(client: TestClient, ids: dict[str, int]) -> None:
    for path in ("/tieout/writes", f"/tieout/writes/{ids['1']}"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"x-person": "mallory"}).status_code == 403
        assert "<form" not in client.get(path, headers=VIEWER).text.replace('<form class="line" method="get"', "")
    assert decide(client, ids["1"], "look-up-again", VIEWER).status_code == 403
    forged = client.post(f"/tieout/writes/{ids['1']}/look-up-again", headers=OPERATOR, data={"csrf": "0" * 64})
    assert forged.status_code == 403


def test_counts_amounts_ages_and_owners_are_shown(client: TestClient, ids: dict[str, int]) -> None:
    page = shown(client)
    standings = page[page.index('id="standings"') : page.index('id="ages"')]
    cells = [re.findall(r"<td[^>]*>(?:<a[^>]*>)?(?:<span[^>]*>)?([^<]*)", row) for row in standings.split("<tr>")[2:]]
    assert cells == [
        ["acme", "books", "invoice", "UNKNOWN", "1", "10.00", "EUR"],
        ["acme", "books", "invoice", "HELD", "2", "20.00", "EUR"],
        ["acme", "books", "invoice", "REJECTED", "1", "1,234", "JPY"],
    ]
    assert page.count("/writes?owner=ann") == 1
    assert "&lt;i&gt;bob" in page and "<i>bob" not in page


def test_the_list_is_paged_and_filtered(client: TestClient, ids: dict[str, int]) -> None:
    first = shown(client)
    assert numbers(first) == ["INV-2", "INV-1"] and "4 writes, 1 to 2 shown" in first
    (more,) = re.findall(r'href="/tieout/writes(\?[^"]*skip=2)"', first)
    assert numbers(shown(client, more)) == ["INV-4", "INV-3"]
    assert numbers(shown(client, "?state=HELD")) == ["INV-1", "INV-4"]
    assert numbers(shown(client, "?owner=ann")) == ["INV-1"]
    assert numbers(shown(client, "?text=INV-3")) == ["INV-3"]
    assert "None of this choice" in shown(client, "?reason=nothing")


def test_each_state_offers_what_is_permitted(client: TestClient, ids: dict[str, int]) -> None:
    def acts(source_id: str) -> set[str]:
        page = client.get(f"/tieout/writes/{ids[source_id]}", headers=OPERATOR).text
        return set(re.findall(rf'action="/tieout/writes/{ids[source_id]}/([\w-]+)"', page))

    assert acts("1") == {"look-up-again", "accept", "cancel", "assign"}
    assert acts("2") == {"try-again", "assign"}
    assert acts("3") == {"assign"}
    several = client.get(f"/tieout/writes/{ids['4']}", headers=OPERATOR).text
    assert several.count("<option>") >= 2 and "several found" in several


def test_a_held_write_is_looked_up_again_by_one_click_under_the_visitors_name(
    client: TestClient, ids: dict[str, int], engine: Engine
) -> None:
    answer = decide(client, ids["1"], "look-up-again", back="state=HELD&evil=1&owner=ann")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/tieout/writes?state=HELD&owner=ann&done=look-up-again&number={ids['1']}"
    assert "is looked up by the next delivery" in client.get(answer.headers["location"], headers=OPERATOR).text
    assert states(engine)["1"] == "UNKNOWN"
    actors = rows(engine, "select actor from tieout.audit_event where actor like 'person:%%'")
    assert actors == [{"actor": "person:oskar"}]
    again = decide(client, ids["1"], "look-up-again")
    assert again.status_code == 409 and "is UNKNOWN" in again.text


def test_the_found_document_is_accepted_by_one_click(client: TestClient, ids: dict[str, int], engine: Engine) -> None:
    page = shown(client)
    (vendor_id,) = re.findall(r'type="hidden" name="vendor_id" value="([^"]+)"', page)
    assert decide(client, ids["1"], "accept", vendor_id=vendor_id, note="same customer").status_code == 303
    assert states(engine)["1"] == "CONFIRMED"
    crossed = rows(engine, "select vendor_id, origin, decided_by from tieout.crosswalk")
    assert crossed == [{"vendor_id": vendor_id, "origin": "approved", "decided_by": "oskar"}]
    # The same document cannot stand for another record too.
    taken = decide(client, ids["4"], "accept", vendor_id=vendor_id)
    assert taken.status_code == 409 and "cannot stand for" in taken.text
    assert states(engine)["4"] == "HELD"


@pytest.mark.parametrize(
    ("act", "fields", "status"),
    [
        ("accept", {}, 400),
        ("accept", {"vendor_id": "two words"}, 409),
        ("cancel", {"note": "  "}, 400),
        ("assign", {}, 400),
        ("assign", {"owner": "x" * 501}, 422),
        ("forget", {}, 422),
        ("try-again", {}, 409),
    ],
)
def test_a_decision_without_what_it_needs_changes_nothing(
    client: TestClient, ids: dict[str, int], engine: Engine, act: str, fields: dict[str, str], status: int
) -> None:
    before = states(engine)
    assert decide(client, ids["1"], act, **fields).status_code == status
    assert states(engine) == before
    assert rows(engine, "select 1 from tieout.audit_event where actor like 'person:%%'") == []


def test_a_write_is_cancelled_with_a_note_and_its_history_tells(
    client: TestClient, ids: dict[str, int], engine: Engine
) -> None:
    assert decide(client, ids["1"], "cancel", note="billed by hand").status_code == 303
    assert states(engine)["1"] == "CANCELLED"
    page = client.get(f"/tieout/writes/{ids['1']}", headers=VIEWER).text
    assert "person:oskar" in page and "billed by hand" in page and "found different" in page


def test_a_refused_write_is_tried_again_and_one_is_given_to_somebody(
    client: TestClient, ids: dict[str, int], engine: Engine
) -> None:
    assert decide(client, ids["2"], "try-again").status_code == 303
    assert states(engine)["2"] == "READY"
    assert decide(client, ids["3"], "assign", owner="sales").status_code == 303
    assert numbers(shown(client, "?owner=sales")) == ["INV-3"]


def test_the_overview_says_how_much_waits_and_since_when(client: TestClient, ids: dict[str, int]) -> None:
    page = client.get("/tieout/runs", headers=VIEWER).text
    assert "1 uncertain" in page and "2 held" in page and "1 refused" in page and "The oldest waits since" in page
    assert 'href="/tieout/writes"' in page


def test_when_everything_is_settled_the_page_says_so(client: TestClient) -> None:
    assert "Every write is settled" in shown(client)
    assert client.get("/tieout/writes/1", headers=VIEWER).status_code == 404
