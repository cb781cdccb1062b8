"""The notice of a failed step: what finance needs, no secret, one failing channel stops no other."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from tieout.model.errors import AuthenticationFailed
from tieout.orchestration.notices import DoublesNotice, FailureNotice, in_words
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
