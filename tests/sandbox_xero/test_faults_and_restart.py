"""Every fault of the plan on a real organisation over a real socket, and kill -9."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from tests.sandbox_xero.conftest import Xero, invoice
from tests.support.sandbox import SandboxProcess

INVOICES = "/api.xro/2.0/Invoices*"


def fault(name: str, method: str = "PUT", **more: Any) -> dict[str, Any]:
    params = more.pop("params", {})
    return {"system": "xero", "method": method, "path": INVOICES, "fault": name, "times": 1, "params": params} | more


def count(xero: Xero) -> int:
    return len(xero.get("Invoices", where="Total>0")["Invoices"])


def body(*numbers: str) -> dict[str, Any]:
    return {"Invoices": [invoice(InvoiceNumber=number) for number in numbers]}


@pytest.mark.parametrize(("name", "applied"), [("lost_request", 0), ("lost_answer", 1), ("cut_body", 1)])
def test_connections_that_break(xero: Xero, name: str, applied: int) -> None:
    xero.sandbox.faults(fault(name))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        xero.call("PUT", "Invoices", body("A"))
    assert count(xero) == applied
    assert [hit["fault"] for hit in xero.sandbox.hits()] == [name]
    assert xero.call("PUT", "Invoices", body("B"))[0] == 200


def test_late_apply(xero: Xero) -> None:
    xero.sandbox.faults(fault("late_apply", params={"seconds": 600}))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        xero.call("PUT", "Invoices", body("A"))
    assert count(xero) == 0
    xero.sandbox.apply_late()
    assert count(xero) == 1


def test_a_reset_drops_what_is_late(xero: Xero) -> None:
    xero.sandbox.faults(fault("late_apply", params={"seconds": 600}))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        xero.call("PUT", "Invoices", body("A"))
    xero.sandbox.reset()
    xero.sandbox.apply_late()
    assert count(Xero(xero.sandbox)) == 0


def test_refusals_in_the_vendors_words(xero: Xero) -> None:
    xero.sandbox.faults(fault("status_429", params={"retry_after": 7, "which": "day"}))
    answer = xero.http.put("Invoices", json=body("A"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.headers["X-Rate-Limit-Problem"] == "day"
    xero.sandbox.faults(fault("expired_token"))
    status, refused = xero.call("PUT", "Invoices", body("A"))
    assert status == 401 and refused["Detail"].startswith("TokenExpired")
    assert count(xero) == 0


@pytest.mark.parametrize("applied", [True, False])
def test_error_500(xero: Xero, applied: bool) -> None:
    xero.sandbox.faults(fault("error_500", params={"applied": applied}))
    assert xero.call("PUT", "Invoices", body("A"))[0] == 500
    assert count(xero) == int(applied)


def test_item_missing_from_the_answer_of_a_batch(xero: Xero) -> None:
    xero.sandbox.faults(fault("item_missing", params={"index": 1}))
    _, answer = xero.call("PUT", "Invoices", body("A", "B", "C"), summarizeErrors="false")
    assert [entry["InvoiceNumber"] for entry in answer["Invoices"]] == ["A", "C"]
    assert count(xero) == 3


def test_stale_read_does_not_see_what_is_new(xero: Xero) -> None:
    xero.call("PUT", "Invoices", body("A"))
    xero.sandbox.faults(fault("stale_read", "GET", params={"seconds": 60}, times=2))
    assert xero.http.get("Invoices/A").status_code == 404
    assert xero.get("Invoices", where='InvoiceNumber=="A"')["Invoices"] == []
    assert len(xero.get("Invoices", where='InvoiceNumber=="A"')["Invoices"]) == 1


def test_slow(xero: Xero) -> None:
    xero.sandbox.faults(fault("slow", params={"seconds": 5}))
    with pytest.raises(httpx.ReadTimeout):
        xero.http.put("Invoices", json=body("A"), timeout=0.2)
    assert [hit["fault"] for hit in xero.sandbox.hits()] == ["slow"]


def test_other_paths_and_systems_are_left_alone(xero: Xero) -> None:
    xero.sandbox.faults(fault("lost_request", system="salesforce"), fault("lost_request", path="/api.xro/2.0/Items*"))
    assert xero.call("PUT", "Invoices", body("A"))[0] == 200
    assert xero.sandbox.hits() == []


def test_a_bad_plan_is_refused_with_its_place(sandbox: SandboxProcess) -> None:
    answer = httpx.post(f"{sandbox.url}/_sandbox/faults", json={"rules": [{"fault": "fire"}]})
    assert answer.status_code == 400 and "rule 0: unknown fault 'fire'" in answer.json()["error"]
    assert httpx.post(f"{sandbox.url}/_sandbox/faults", content=b"{").status_code == 400


def test_what_was_answered_survives_kill_9(xero: Xero) -> None:
    answered: list[str] = []

    def post() -> None:
        number = 0
        while True:
            number += 1
            try:
                status, _ = xero.call("PUT", "Invoices", body(f"K{number}"))
            except httpx.TransportError:
                return
            if status == 200:
                answered.append(f"K{number}")

    thread = threading.Thread(target=post)
    thread.start()
    while len(answered) < 30:
        assert thread.is_alive()
    xero.sandbox.kill()
    thread.join(30)
    xero.sandbox.start()
    kept = {entry["InvoiceNumber"]: entry for entry in xero.get("Invoices")["Invoices"]}
    assert set(answered) <= set(kept) and len(kept) - len(answered) in (0, 1)
    paid = xero.pay(kept["K1"]["InvoiceID"], "120.00")
    xero.sandbox.restart()
    again = xero.get("Invoices/K1")["Invoices"][0]
    assert (again["Status"], again["Payments"][0]["PaymentID"]) == ("PAID", paid["PaymentID"])
    assert xero.refused("PUT", "Invoices", body("K1")) == ["Invoice # must be unique."]


def test_pages_of_the_sandbox(xero: Xero) -> None:
    xero.contact("<script>alert(1)</script>")
    page = httpx.get(f"{xero.root}/").text
    assert "&lt;script&gt;" in page and "<script>" not in page and "http" not in page
    assert '<a href="/xero/">' in httpx.get(f"{xero.sandbox.url}/").text
    assert "xero" in httpx.get(f"{xero.sandbox.url}/_sandbox/health").json()["systems"]
