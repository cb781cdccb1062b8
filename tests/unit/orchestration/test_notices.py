"""The notice of a failed step: what finance needs, no secret, one failing channel stops no other."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from tests.support.reconciliation import LINK, OLD, TODAY, Break, morning, reconcile
from tieout.model.errors import AuthenticationFailed
from tieout.orchestration.notices import DoublesNotice, FailureNotice, TieOutNotice, in_words
from tieout.orchestration.outcomes import StepsFailed


@dataclass
class Instance:
    """What a task instance offers to a callback."""

    task_id: str = "deliver"
    dag_id: str = "quote_to_cash__acme"
    run_id: str = "manual__1"
    try_number: int = 1

    def xcom_pull(self, task_ids: str) -> str:
        return "0e0f0a0b-0000-4000-8000-000000000001"


def wrapped(error: Exception) -> Exception:
    outer = RuntimeError("Airflow's")
    outer.__cause__ = error
    return outer


class Chat(BaseHTTPRequestHandler):
    """A chat's webhook on this machine."""

    received: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Connections `chat` (a live webhook) and `gone` (nobody listens)."""
    server = HTTPServer(("127.0.0.1", 0), Chat)
    Chat.received.clear()
    Thread(target=server.serve_forever, daemon=True).start()
    live = {"conn_type": "generic", "host": f"http://127.0.0.1:{server.server_port}/hook", "password": "T0/secret"}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(live))
    monkeypatch.setenv("AIRFLOW_CONN_GONE", json.dumps({"conn_type": "generic", "host": "http://127.0.0.1:1"}))
    yield Chat.received
    server.shutdown()
    server.server_close()


def test_a_notice_says_link_step_run_error_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example")
    subject, text = in_words("acme", {"ti": Instance(), "exception": wrapped(AuthenticationFailed("xero: refused"))})
    assert subject == "Tieout: deliver failed for acme"
    for part in (
        "Link: acme",
        "Sync run: 0e0f0a0b",
        "AuthenticationFailed: xero: refused",
        "press Test",
        "https://airflow.example/tieout/runs/0e0f",
    ):
        assert part in text


def test_a_killed_task_is_told_of_without_an_exception() -> None:
    _, text = in_words("acme", {"ti": Instance()})
    assert "killed" in text and "Clear the task" in text


def test_the_notice_goes_to_each_channel_that_answers(
    chat: list[tuple[str, dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    context = {"ti": Instance(), "exception": wrapped(AuthenticationFailed("xero: refused"))}
    with caplog.at_level(logging.ERROR):
        FailureNotice("acme", ["gone", "chat"]).notify(context)
    ((path, body),) = chat
    assert path == "/hook/T0/secret"
    assert "Sync run: 0e0f0a0b" in body["text"]
    assert "'gone': ConnectError" in caplog.text
    assert "T0/secret" not in caplog.text


class Mail(StreamRequestHandler):
    """As much of SMTP (RFC 5321) as one message needs; what came is in `received`."""

    received: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline().decode():
            word = line[:4].upper().strip()
            if word == "DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.received.append("".join(lines))
            self.wfile.write(b"221 bye\r\n" if word == "QUIT" else b"250 fine\r\n")


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Connection `post`: a mail server without encryption on this machine."""
    server = ThreadingTCPServer(("127.0.0.1", 0), Mail)
    Mail.received.clear()
    Thread(target=server.serve_forever, daemon=True).start()
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "tieout@example.org", "to": "finance@example.org"}
    post = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.server_address[1], "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_POST", json.dumps(post))
    yield Mail.received
    server.shutdown()
    server.server_close()


def test_a_notice_goes_out_as_mail_with_its_text_and_never_as_markup(mail: list[str]) -> None:
    error = AuthenticationFailed("xero: refused <b>now</b>")
    FailureNotice("acme", ["post"]).notify({"ti": Instance(), "exception": wrapped(error)})
    (raw,) = mail
    message = message_from_string(raw, policy=policy.default)
    body = message.get_body(("html",))
    assert message["To"] == "finance@example.org" and message["Subject"] == "Tieout: deliver failed for acme"
    assert body is not None and "refused &lt;b&gt;now&lt;/b&gt;" in body.get_content()


def test_the_end_of_a_run_whose_step_failed_sends_no_second_notice(chat: list[tuple[str, dict[str, Any]]]) -> None:
    FailureNotice("acme", ["chat"]).notify({"ti": Instance("summarise"), "exception": wrapped(StepsFailed("deliver"))})
    assert chat == []


@dataclass
class Closing(Instance):
    """The step that closed a run whose sweep found `found` documents."""

    task_id: str = "summarise"
    found: int = 0

    def xcom_pull(self, task_ids: str) -> Any:
        assert task_ids == "summarise"
        swept = {"duplicates": self.found, "orphans": 0, "unaccounted": 0, "found": self.found, "proposal": 7}
        return {"read": 1, "sweep": swept}


def test_what_the_ledger_has_twice_is_told_and_nothing_else(
    chat: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example")
    notice = DoublesNotice(link="acme", channels=["chat"])
    notice.notify({"ti": Closing()})
    assert chat == []
    notice.notify({"ti": Closing(found=2)})
    ((_, message),) = chat
    for part in ("2 documents of acme", "In the ledger twice: 2", "https://airflow.example/tieout/proposals/7"):
        assert part in message["text"]


@dataclass
class Reconciled(Instance):
    """The step that closed a reconciliation; its run is `sync_run`."""

    sync_run: UUID | None = None

    def xcom_pull(self, task_ids: str) -> Any:
        assert task_ids == "start"
        return str(self.sync_run)


def test_a_tie_out_names_its_five_largest_breaks_and_no_customer(
    engine: Engine, database_url: str, chat: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example")
    monkeypatch.setenv("TIEOUT_DATABASE_URL", database_url)
    made = morning(engine, days=2)
    TieOutNotice(link=LINK, channels=["gone", "chat"]).notify({"ti": Reconciled(sync_run=made.run_id)})
    ((_, message),) = chat
    lines = message["text"].splitlines()
    assert lines[0] == "Tieout: acme_eu ties out on 2026-11-26, 4 new breaks"
    assert (
        "invoices EUR: CRM 1,208,361.21, ledger 1,203,871.20, difference 4,490.01, explained 4,490.01, "
        "unexplained 0.00" in lines
    )
    assert [line for line in lines if line[:2] in ("1.", "2.", "3.", "4.", "5.", "6.")] == [
        "1. 4,000.00 EUR, invoices: rejected or held",
        "2. 2,150.50 GBP, invoices: missing in finance (801E)",
        "3. -440.00 EUR, payments: duplicate (INV-20418, 801A)",
        "4. 400.00 EUR, invoices: amount (INV-20419)",
        "5. -105.00 EUR, invoices: date (INV-19006)",
    ]
    assert f"https://airflow.example/tieout/tie-outs/acme_eu/2026-11-26?report={made.today.report_id}" in lines[-1]
    for one in made.breaks:
        assert not one.customer_name or one.customer_name not in message["text"]


def test_nothing_new_is_told_only_to_who_wants_it_always(
    engine: Engine, database_url: str, chat: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_DATABASE_URL", database_url)
    known: list[Break] = list(OLD[:3])
    reconcile(engine, TODAY - timedelta(days=1), known)
    run_id = uuid4()
    reconcile(engine, TODAY, known, run_id=run_id)
    TieOutNotice(link=LINK, channels=["chat"]).notify({"ti": Reconciled(sync_run=run_id)})
    assert chat == []
    TieOutNotice(link=LINK, channels=["chat"], always=True).notify({"ti": Reconciled(sync_run=run_id)})
    assert "0 new breaks" in chat[0][1]["text"]
    chat.clear()
    TieOutNotice(link=LINK, channels=["chat"], always=True).notify({"ti": Reconciled(sync_run=uuid4())})
    assert chat == [], "a run without a report says nothing"


def test_what_moved_in_a_closed_period_is_told_although_the_day_has_nothing_new(
    engine: Engine, database_url: str, chat: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_DATABASE_URL", database_url)
    run_id = uuid4()
    reconcile(engine, TODAY - timedelta(days=1), [])
    reconcile(engine, TODAY, [], run_id=run_id)
    figures = [{"area": "payments", "currency": "EUR", "scale": 2, "a_before": 0, "a_after": 0, "b_before": 0,
                "b_after": 6000}]  # fmt: skip
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into tieout.period_report (link, label, first, last, known_at, run_id, rules_hash, "
                "mapping_hash, code_version) values (:link, 'FY2026-P01', '2026-01-01', '2026-01-31', now(), :run, "
                "'r', 'm', 'c')"
            ),
            {"link": LINK, "run": run_id},
        )
        conn.execute(
            text(
                "insert into tieout.period_recount (link, label, report_id, run_id, known_at, moved, figures) "
                "select link, label, report_id, run_id, now(), 1, cast(:figures as jsonb) from tieout.period_report"
            ),
            {"figures": json.dumps(figures)},
        )
    TieOutNotice(link=LINK, channels=["chat"]).notify({"ti": Reconciled(sync_run=run_id)})
    ((_, message),) = chat
    assert message["text"].splitlines()[-1] == (
        "Closed period FY2026-P01 MOVED since it was closed: 1 documents, payments in the ledger by 60.00 EUR."
    )
