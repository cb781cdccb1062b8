"""The sandbox as a process: what was answered is there after a kill, and faults happen on a real wire."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.sandbox import SandboxProcess

pytestmark = pytest.mark.slow
DATA = "/salesforce/services/data/v60.0"
LIMIT = 30  # seconds until a call is given up


def client(sandbox: SandboxProcess) -> httpx.Client:
    form = {"grant_type": "client_credentials", "client_id": "sandbox-consumer", "client_secret": "sandbox-secret"}
    answer = httpx.post(f"{sandbox.url}/salesforce/services/oauth2/token", data=form, timeout=LIMIT).json()
    assert answer["instance_url"] == f"{sandbox.url}/salesforce"
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    return httpx.Client(base_url=sandbox.url, headers=headers, timeout=LIMIT)


def insert(http: httpx.Client, count: int) -> list[dict[str, Any]]:
    records = [{"attributes": {"type": "Account"}, "Name": f"A{number}"} for number in range(count)]
    items: list[dict[str, Any]] = http.post(f"{DATA}/composite/sobjects", json={"records": records}).json()
    return items


def test_what_was_answered_survives_a_kill(sandbox: SandboxProcess) -> None:
    http = client(sandbox)
    ids = [item["id"] for item in insert(http, 150)]
    text = {"q": "SELECT Id, Name, SystemModstamp FROM Account ORDER BY Id"}
    before = http.get(f"{DATA}/query", params=text).json()
    sandbox.kill()
    sandbox.start()
    after = client(sandbox).get(f"{DATA}/query", params=text).json()
    assert [one["Id"] for one in after["records"]] == ids
    assert after == before
    assert http.get(f"{DATA}/limits").status_code == 200, "the token is still good"
    assert insert(http, 1)[0]["id"] not in ids


def test_a_lost_answer_leaves_the_records(sandbox: SandboxProcess) -> None:
    http = client(sandbox)
    sandbox.faults({"system": "salesforce", "path": "*/composite/sobjects", "fault": "lost_answer", "times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        insert(http, 3)
    found = http.get(f"{DATA}/query", params={"q": "SELECT COUNT() FROM Account"}).json()
    assert found["totalSize"] == 3


def test_a_reset_ends_sessions_and_empties_the_organisation(sandbox: SandboxProcess) -> None:
    http = client(sandbox)
    insert(http, 3)
    sandbox.reset()
    assert http.get(f"{DATA}/limits").status_code == 401
    found = client(sandbox).get(f"{DATA}/query", params={"q": "SELECT COUNT() FROM Account"}).json()
    assert found["totalSize"] == 0
