"""The program as a process: where it says that it is, how it stops, what it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.support.sandbox import SandboxProcess


@pytest.fixture
def own(tmp_path: Path) -> SandboxProcess:
    return SandboxProcess(tmp_path)


def test_it_says_where_it_is_and_stops_when_asked(own: SandboxProcess) -> None:
    own.start()
    try:
        assert own.url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{own.url}/_sandbox/health").json()["status"] == "ok"
        process = own.process
    finally:
        own.stop()
    assert process is not None and process.returncode in (0, -15)
    assert own.log() == ""


def test_settings_survive_a_kill_and_the_url_stays(own: SandboxProcess) -> None:
    own.start()
    try:
        url = own.url
        own.settings("xero", organisation_name="Acme")
        own.kill()
        own.start()
        assert own.url == url
        assert httpx.get(f"{url}/_sandbox/settings").json()["xero"]["organisation_name"] == "Acme"
        own.reset()
        assert httpx.get(f"{url}/_sandbox/settings").json()["xero"]["organisation_name"] != "Acme"
    finally:
        own.stop()


def test_the_plan_is_set_read_and_taken_away(sandbox: SandboxProcess) -> None:
    sandbox.faults({"fault": "slow", "system": "xero", "params": {"seconds": 0}}, seed=3)
    httpx.get(f"{sandbox.url}/xero/")
    plan = httpx.get(f"{sandbox.url}/_sandbox/faults").json()
    assert (plan["seed"], plan["rules"][0]["matches"], plan["rules"][0]["hits"], plan["late"]) == (3, 1, 1, 0)
    assert plan["hits"][0] | {"params": None} == {
        "rule": 0,
        "match": 1,
        "fault": "slow",
        "system": "xero",
        "method": "GET",
        "path": "/",
        "params": None,
    }
    assert httpx.delete(f"{sandbox.url}/_sandbox/faults").json()["rules"] == []


def test_settings_of_unknown_systems_are_refused(sandbox: SandboxProcess) -> None:
    for body in ({"sage": {}}, [], {"xero": 3}):
        answer = httpx.patch(f"{sandbox.url}/_sandbox/settings", content=json.dumps(body))
        assert answer.status_code == 400 and answer.json()["error"]
