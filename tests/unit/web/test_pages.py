"""The pages over a real store: what they show, to whom, and that a replay needs a token and leaves a trail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import Header, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.routing import Mount

from tieout.model.errors import Rejection
from tieout.model.staged import StagedEntity, StagedField
from tieout.store import dead_letters, runs, staging_tables
from tieout.store.staging import stage
from tieout.web.app import Visitor, create_app
from tieout.web.sources import Sources

MATRIX = [["CRM field", "finance field", "transformation"], ["Order.OrderNumber", "InvoiceNumber", "as it is"]]
ORDERS = StagedEntity(
    system="salesforce", entity="order", object="Order", key="Id", modified=None,
    fields=(StagedField("order_id", "Id", "text"), StagedField("number", "OrderNumber", "text")),
)  # fmt: skip
VIEWER, OPERATOR = {"x-person": "vera"}, {"x-person": "oskar"}


def authorize(method: str) -> Callable[..., Visitor]:
    """vera may look, oskar may replay, nobody else may do anything."""

    def visitor(x_person: str = Header("")) -> Visitor:
        if not x_person:
            raise HTTPException(401, "Not authenticated")
        if x_person not in ("vera", "oskar") or (method == "PUT" and x_person != "oskar"):
            raise HTTPException(403, "Not yours")
        return Visitor(x_person, x_person == "oskar")

    return visitor


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    sources = Sources(open_engine=lambda: engine, matrix=lambda crm, ledger: MATRIX, docs_home=tmp_path, page_size=2)
    pages = create_app(authorize, sources, b"a secret of the test", lambda asked: f"/auth/login/?next={asked}")
    # Mounted as Airflow mounts it: links must carry the prefix.
    with TestClient(Starlette(routes=[Mount("/tieout", pages)])) as client:
        yield client


@pytest.fixture
def run_id(engine: Engine) -> UUID:
    """A finished run whose euros close and whose yen do not."""
    counts = {"read": 10, "posted": 6, "unchanged": 0, "held": 1, "quarantined": 3, "cancelled": 0, "in_flight": 0}
    amounts = {"EUR": {"read": 1234567, "posted": 1234500, "held": 67}, "JPY": {"read": 500, "posted": 400}}
    with engine.begin() as conn:
        run_id = runs.start(
            conn, link="acme_eu", scenario="quote_to_cash", trigger="manual", mapping_hash="m" * 64,
            suite_hash="s" * 64, code_version="test",
            airflow_dag_id="quote_to_cash__acme_eu", airflow_run_id="manual__1",
        )  # fmt: skip
        runs.begin_step(conn, run_id, "extract")
        runs.end_step(conn, run_id, "extract", {"read": 10})
        runs.finish(conn, run_id, "partial", counts=counts | {"reasons": [["held", "no_tax_code", 1]]}, amounts=amounts)
    return run_id


@pytest.fixture
def letters(engine: Engine, run_id: UUID) -> list[int]:
    """Three open dead letters; the names hold what a page must not execute."""
    found = "<script>alert(1)</script>"
    rejections = [
        Rejection(
            "salesforce", "order", f"801{n}", "unknown_currency", f"order {n} is in <b>XXQ</b>", "EUR", found, "fix it"
        )
        for n in range(3)
    ]
    with engine.begin() as conn:
        staging_tables.ensure(conn, ORDERS)
    stage(engine, ORDERS, "crm", [[{"Id": f"801{n}", "OrderNumber": str(n)} for n in range(3)]], run_id)
    with engine.begin() as conn:
        dead_letters.record(conn, rejections, connection="crm", stage="deliver", run_id=run_id, link="acme_eu")
        return [letter.dead_letter_id for letter in dead_letters.listing(conn)]


PATHS = ["/", "/runs",
         "/runs/{run}", "/trace?key=8010", "/dead-letters", "/dead-letters/1", "/mappings", "/static/tieout.css",
         "/airflow-run?dag_id=a&run_id=b", "/runs/{run}/data-docs/index.html"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_to_nobody_or_to_a_stranger(client: TestClient, run_id: UUID, path: str) -> None:
    path = "/tieout" + path.format(run=run_id)
    anonymous = client.get(path)
    assert anonymous.status_code == 401
    assert "/auth/login/?next=" in anonymous.text or path.endswith(".css")
    assert "acme_eu" not in anonymous.text
    assert client.get(path, headers={"x-person": "mallory"}).status_code == 403


def test_overview_leads_to_the_run(client: TestClient, run_id: UUID) -> None:
    page = client.get("/tieout/runs", headers=VIEWER)
    assert page.status_code == 200
    assert f'href="/tieout/runs/{run_id}"' in page.text
    assert "acme_eu" in page.text and "partial" in page.text


def test_run_of_airflow_leads_to_the_sync_run(client: TestClient, run_id: UUID) -> None:
    asked = "/tieout/airflow-run?dag_id=quote_to_cash__acme_eu&run_id=manual__1"
    answer = client.get(asked, headers=VIEWER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/tieout/runs/{run_id}")
    assert client.get("/tieout/airflow-run?dag_id=x&run_id=y", headers=VIEWER).status_code == 404


def test_closing_summary_shows_amounts_and_what_does_not_close(client: TestClient, run_id: UUID) -> None:
    page = client.get(f"/tieout/runs/{run_id}", headers=VIEWER).text
    rows = re.findall(r"<tr><th scope=\"row\">(\w+)</th>(.*?)</tr>", page, re.S)
    assert [name for name, _ in rows] == ["documents", "EUR", "JPY"]
    assert "12,345.67" in rows[1][1] and "0.67" in rows[1][1]
    assert ["no" in row.rsplit("<td>", 1)[1] for _, row in rows] == [False, False, True]
    assert "no tax code" in page


def test_what_came_from_other_systems_is_escaped(client: TestClient, letters: list[int]) -> None:
    page = client.get("/tieout/dead-letters", headers=VIEWER).text
    assert "&lt;b&gt;XXQ&lt;/b&gt;" in page and "<b>XXQ" not in page
    one = client.get(f"/tieout/dead-letters/{letters[0]}", headers=VIEWER).text
    assert "&lt;script&gt;alert(1)" in one and "<script>alert" not in one


def test_pages_allow_no_inline_script_and_no_other_host(client: TestClient, run_id: UUID) -> None:
    for path in ("/", f"/runs/{run_id}", "/trace?key=x", "/dead-letters", "/mappings"):
        page = client.get(f"/tieout{path}", headers=OPERATOR)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?://", page.text), path


def test_letters_are_filtered_and_paged(client: TestClient, letters: list[int]) -> None:
    first = client.get("/tieout/dead-letters", headers=VIEWER).text
    shown = [int(n) for n in re.findall(r'dead-letters/(\d+)"', first)]
    assert shown == letters[:2]
    after = re.search(r'after=(\d+)"', first)
    assert after and int(after[1]) == letters[1]
    rest = client.get(f"/tieout/dead-letters?after={after[1]}", headers=VIEWER).text
    assert [int(n) for n in re.findall(r'dead-letters/(\d+)"', rest)] == letters[2:]
    assert 'dead-letters/1"' not in client.get("/tieout/dead-letters?reason=no_such", headers=VIEWER).text


def _token(client: TestClient, who: dict[str, str]) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/tieout/dead-letters", headers=who).text)
    assert found
    return found[1]


def test_replay_is_for_operators_with_their_own_token(client: TestClient, letters: list[int], engine: Engine) -> None:
    url = "/tieout/dead-letters/replay"
    stolen = _token(client, VIEWER)
    assert client.post(url, data={"csrf": stolen, "letter_id": letters[0]}, headers=VIEWER).status_code == 403
    assert client.post(url, data={"csrf": stolen, "letter_id": letters[0]}, headers=OPERATOR).status_code == 403
    assert client.post(url, data={"letter_id": letters[0]}, headers=OPERATOR).status_code == 422
    assert client.post(url, data={"csrf": _token(client, OPERATOR)}, headers=OPERATOR).status_code == 400
    with engine.connect() as conn:
        assert [letter.state for letter in dead_letters.listing(conn)] == ["open"] * 3


def test_replayed_records_are_judged_again_and_the_audit_trail_names_the_operator(
    client: TestClient, letters: list[int], engine: Engine
) -> None:
    form = {"csrf": _token(client, OPERATOR), "letter_id": [str(number) for number in letters[:2]]}
    page = client.post("/tieout/dead-letters/replay", data=form, headers=OPERATOR)
    assert "2 dead letters will be judged again" in page.text
    with engine.connect() as conn:
        assert [letter.dead_letter_id for letter in dead_letters.listing(conn)] == letters[2:]
        trail = conn.execute(text("select actor, event, subject from tieout.audit_event order by seq")).all()
        assert [tuple(row) for row in trail] == [
            ("oskar", "dead_letter.replayed", f"dead_letter:{number}") for number in letters[:2]
        ]


def test_viewers_are_offered_no_replay(client: TestClient, letters: list[int]) -> None:
    assert "Replay the chosen" not in client.get("/tieout/dead-letters", headers=VIEWER).text
    assert "Replay the chosen" in client.get("/tieout/dead-letters", headers=OPERATOR).text


def test_unknown_run_letter_and_file_are_not_found(client: TestClient, run_id: UUID) -> None:
    for path in (f"/runs/{UUID(int=7)}", "/dead-letters/999", "/static/../app.py", "/mappings?crm=odoo", "/nowhere"):
        assert client.get(f"/tieout{path}", headers=VIEWER).status_code == 404, path


def test_trace_of_an_unknown_key_says_so(client: TestClient, run_id: UUID) -> None:
    assert "Nothing that Tieout knows carries" in client.get("/tieout/trace?key=INV-0", headers=VIEWER).text


def test_mapping_matrix_is_shown(client: TestClient) -> None:
    page = client.get("/tieout/mappings", headers=VIEWER).text
    assert "Order.OrderNumber" in page and "transformation" in page


def test_data_docs_are_served_from_their_folder_only(client: TestClient, run_id: UUID, tmp_path: Path) -> None:
    folder = tmp_path / str(run_id)
    (folder / "expectations").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>Data Docs</h1>")
    (folder / "notes.txt").write_text("not served")
    (tmp_path / "secret.html").write_text("outside")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    base = f"/tieout/runs/{run_id}/data-docs"
    page = client.get(f"{base}/index.html", headers=VIEWER)
    assert page.text == "<h1>Data Docs</h1>"
    assert page.headers["content-security-policy"].startswith("sandbox")
    for path in ("/../secret.html", "/%2e%2e/secret.html", "/link.html", "/notes.txt", "/%00", "/expectations"):
        answer = client.get(base + path, headers=VIEWER)
        assert answer.status_code in (404, 422), path
        assert "outside" not in answer.text


def test_the_run_page_links_each_of_its_data_docs(client: TestClient, run_id: UUID, tmp_path: Path) -> None:
    page = f"/tieout/runs/{run_id}"
    assert "none for this run" in client.get(page, headers=VIEWER).text
    (tmp_path / str(run_id) / "answers").mkdir(parents=True)
    (tmp_path / str(run_id) / "answers" / "index.html").write_text("<h1>Answers</h1>")
    shown = client.get(page, headers=VIEWER).text
    assert "what the ledger answered" in shown and "what was read from both systems" not in shown
    (link,) = re.findall(r'href="([^"]*data-docs[^"]*)"', shown)
    assert client.get(link, headers=VIEWER).text == "<h1>Answers</h1>"


def test_a_run_whose_answers_were_stopped_says_why(client: TestClient, run_id: UUID, engine: Engine) -> None:
    with engine.begin() as conn:
        runs.finish(conn, run_id, "partial", counts={"answers_stopped": "stopped by <large>"}, amounts={})
    assert "stopped by &lt;large&gt;" in client.get(f"/tieout/runs/{run_id}", headers=VIEWER).text
