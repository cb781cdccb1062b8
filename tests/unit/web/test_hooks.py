"""Where vendors send webhooks, and the operator's page: verified, kept, answered; refusals are counted and logged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tests.support import pages
from tests.support.pages import as_, token
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import Settings, load_settings
from tieout.store import hooks
from tieout.store.engine import connect
from tieout.store.hooks import End
from tieout.web.hooks import LARGEST_BODY

KEY = "key of the app"
BODY = b'{"events":[{"resourceId":"3f6b0f6e-0000-4000-8000-000000000001","note":"Ann Example"}]}'
LINK = """name: {name}
crm: salesforce_{name}
crm_system: salesforce
ledger: xero_{name}
ledger_system: xero
base_currency: GBP
revenue_account: "200"
"""


def sign(body: bytes, key: str = KEY) -> dict[str, str]:
    return {"x-xero-signature": base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()}


@dataclass
class Door:
    """The pages with two links, and what they hold."""

    client: TestClient
    engine: Engine
    extras: dict[str, dict[str, Any]] = field(default_factory=dict)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def send(self, name: str = "xero_one", body: bytes = BODY, headers: Mapping[str, str] | None = None) -> Any:
        return self.client.post(
            f"/tieout/hooks/{name}", content=body, headers=sign(body) if headers is None else headers
        )

    def rows(self) -> list[Any]:
        with self.engine.connect() as conn:
            return list(conn.execute(sa.text("select * from tieout.hook_inbox order by connection, hook_id")))


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[], Settings]:
    links = tmp_path / "project" / "include" / "links"
    links.mkdir(parents=True)
    for name in ("one", "two"):
        (links / f"{name}.yaml").write_text(LINK.format(name=name))
    (links / "broken.yaml").write_text("name: [")
    (tmp_path / "project" / "include" / "calendars").mkdir()
    return lambda: replace(load_settings(), project=tmp_path / "project")


def make(engine: Engine, settings: Callable[[], Settings], tmp_path: Path) -> Door:
    door = Door(TestClient(None), engine)  # type: ignore[arg-type]  # replaced below
    door.extras = {"xero_one": {"webhook_key": KEY, "tenant_id": "t-1"}, "xero_two": {}, "salesforce_one": {}}

    def connection(name: str) -> Connection:
        if name not in door.extras:
            raise ConfigurationFault(f"no connection {name!r}")
        return Connection(name, name.partition("_")[0], "https://x", "", "", door.extras[name])

    app = pages.app(
        engine, tmp_path, settings=settings, connection=connection,
        refused=lambda name, reason: door.counted.append((name, reason)),
    )  # fmt: skip
    door.client = TestClient(app)
    return door


@pytest.fixture
def door(engine: Engine, settings: Callable[[], Settings], tmp_path: Path) -> Iterator[Door]:
    made = make(engine, settings, tmp_path)
    with made.client:
        yield made


def test_what_is_signed_is_kept_as_it_came_and_answered_with_nothing(door: Door) -> None:
    for _ in range(3):
        answer = door.send()
        assert (answer.status_code, answer.content) == (200, b"")
    (row,) = door.rows()
    assert (row.connection, bytes(row.body), row.state, row.account) == ("xero_one", BODY, "waiting", "t-1")
    assert row.headers == sign(BODY) and row.deliveries == 3
    assert door.counted == []


def test_a_wrong_signature_is_401_and_empty_counted_and_logged_without_the_body(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for headers in (sign(BODY, "another"), {}, {"x-xero-signature": "ä".encode("latin-1").decode("latin-1") * 3}):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = door.client.post("/tieout/hooks/xero_one", content=BODY, headers=encoded)
            assert (answer.status_code, answer.content) == (401, b"")
    assert door.rows() == []
    assert door.counted == [
        ("xero_one", "wrong_signature"),
        ("xero_one", "no_signature"),
        ("xero_one", "wrong_signature"),
    ]
    with door.engine.connect() as conn:
        (standing,) = hooks.standings(conn)
    assert standing.refused == {"no_signature": 1, "wrong_signature": 2}
    assert "wrong_signature" in caplog.text and "Example" not in caplog.text and KEY not in caplog.text


def test_the_intent_to_receive_is_answered_by_the_same_rule(door: Door) -> None:
    body = b'{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4ndomT3xt"}'
    statuses = [door.send(body=body, headers=sign(body, key)).status_code for key in (KEY, "wrong", "worse", KEY)]
    assert statuses == [200, 401, 401, 200]


def test_a_key_can_be_exchanged_without_a_refusal(door: Door) -> None:
    door.extras["xero_one"] |= {"webhook_key": "new", "webhook_key_before": KEY}
    assert [door.send(headers=sign(BODY, key)).status_code for key in ("new", KEY, "x")] == [200, 200, 401]
    del door.extras["xero_one"]["webhook_key_before"]
    assert door.send().status_code == 401


def test_whatever_takes_no_webhooks_looks_like_a_wrong_path(door: Door) -> None:
    wrong = door.client.post("/tieout/nowhere", content=BODY, headers=sign(BODY))
    assert wrong.status_code == 404
    # Named by no link; a system without signed webhooks; without a key; of a link, and not there.
    del door.extras["salesforce_one"]
    for name in ("nowhere", "salesforce_one", "xero_two", "salesforce_two", "..%2Fx", "x" * 2000):
        answer = door.send(name)
        assert (answer.status_code, answer.text) == (404, wrong.text), name
    assert door.rows() == []
    assert ("unknown", "unknown_connection") in door.counted and ("xero_two", "no_key") in door.counted
    assert not [name for name, _ in door.counted if name.startswith("x" * 20)], "names from outside become no metric"
    with door.engine.connect() as conn:
        assert {one.connection for one in hooks.standings(conn)} <= {"xero_two", "salesforce_one", "salesforce_two"}


def test_a_body_that_is_too_large_is_not_read_to_its_end(door: Door) -> None:
    body = b"x" * (LARGEST_BODY + 1)
    answer = door.send(body=body)
    assert (answer.status_code, answer.content) == (413, b"")
    assert door.send(body=body[1:]).status_code == 200
    assert door.counted == [("xero_one", "too_large")] and len(door.rows()) == 1


def test_an_app_that_is_joined_to_two_organisations_tells_both_links(door: Door) -> None:
    door.extras["xero_two"] = {"webhook_key": KEY, "tenant_id": "t-2"}
    assert door.send().status_code == 200
    assert [(row.connection, row.account) for row in door.rows()] == [("xero_one", "t-1"), ("xero_two", "t-2")]
    door.extras["xero_two"]["webhook_key"] = "of another app"
    assert door.send(body=BODY + b" ").status_code == 200
    assert [row.connection for row in door.rows()] == ["xero_one", "xero_one", "xero_two"]


def test_without_the_store_the_vendor_is_asked_to_send_it_again(
    settings: Callable[[], Settings], tmp_path: Path
) -> None:
    engine = connect("postgresql://nobody@127.0.0.1:9/nowhere")
    door = make(engine, settings, tmp_path)
    answer = door.send()
    assert (answer.status_code, answer.content) == (503, b"")
    answer = door.send(headers={})
    assert (answer.status_code, answer.content) == (401, b"")
    engine.dispose()


def test_the_receiver_answers_to_nothing_but_post(door: Door) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert door.client.request(method, "/tieout/hooks/xero_one").status_code == 405


# --- the operator's page ----------------------------------------------------------------------------------------------


@pytest.fixture
def failed(door: Door) -> int:
    """A delivery that failed, beside one that was read and one that waits."""
    for number in range(3):
        assert door.send(body=str(number).encode()).status_code == 200
    with door.engine.begin() as conn:
        ids = [row.hook_id for row in hooks.take(conn, ["xero_one"], 10)]
        why = "given up after 8 attempts: Retriable: <b>away</b>"
        hooks.settle(conn, [End(ids[0], "read"), End(ids[1], "failed", why, 8)], uuid4())
    return ids[1]


def test_the_page_shows_what_waits_and_what_failed_and_no_body(door: Door, failed: int) -> None:
    door.send(headers={})
    shown = door.client.get("/tieout/webhooks", headers=as_("vera"))
    assert shown.status_code == 200 and "given up after 8 attempts: Retriable: &lt;b&gt;away" in shown.text
    assert "xero_one" in shown.text and "xero_two" in shown.text and "no signature 1" in shown.text
    assert "Example" not in shown.text and 'type="checkbox"' not in shown.text
    only = door.client.get("/tieout/webhooks?state=read&connection=xero_one", headers=as_("oskar")).text
    assert "given up" not in only and 'type="checkbox"' not in only
    assert door.client.get("/tieout/webhooks").status_code == 401


def test_an_operator_has_a_failed_one_tried_again(door: Door, failed: int) -> None:
    form = {"csrf": token(door.client, "oskar", "/webhooks"), "hook_id": str(failed)}

    def post(person: str, **changed: str) -> int:
        sent = {**form, **changed}
        answer = door.client.post("/tieout/webhooks/again", data=sent, headers=as_(person), follow_redirects=False)
        return answer.status_code

    assert (post("vera"), post("oskar", csrf="x"), post("oskar", hook_id="x")) == (403, 403, 422)
    assert post("oskar") == 303
    with door.engine.connect() as conn:
        (again,) = [one for one in hooks.listing(conn) if one.hook_id == failed]
    assert (again.state, again.attempts) == ("waiting", 0)
