"""HubSpot on a fake wire: batches and how their answers are judged, look-ups, the set-up."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.connectors.hubspot_wire import (
    SETTINGS,
    assoc,
    body,
    crm,
)
from tests.connectors.wires import Wire, answer, item
from tests.support.sandbox import ROOT
from tieout.connectors.base import Answer, Request
from tieout.model.errors import (
    PermissionDenied,
    Retriable,
)

# ---- writing

ORDER = "34567890123"


def write_back(number: int, properties: Any, id_: str = ORDER, operation: str = "orders.write_back") -> Request:
    return item(number, operation, {"id": id_, "properties": properties}, id_)


def send(reply: Any, *requests: Request, status: int = 200) -> tuple[list[Answer], Wire]:
    made = reply if isinstance(reply, httpx.Response | Exception) else answer(reply, status)
    connector, wire, _ = crm(*SETTINGS, ("POST", "/crm/v3/objects/", made))
    return list(connector.send(connector.operation(requests[0].operation), requests)), wire


def test_all_values_go_as_texts_and_null_empties() -> None:
    sent = {"a": Decimal("1234567890123456.70"), "b": True, "c": None, "d": "2024-05-01", "e": "日本 🍵"}
    (got,), wire = send({"status": "COMPLETE", "results": [{"id": ORDER, "properties": {}}]}, write_back(1, sent))
    assert (got.outcome, got.vendor_id) == ("applied", ORDER)
    assert wire.asked[0].url.path == "/crm/v3/objects/orders/batch/update"
    assert body(wire.asked[0]) == {
        "inputs": [
            {
                "id": ORDER,
                "properties": {"a": "1234567890123456.70", "b": "true", "c": "", "d": "2024-05-01", "e": "日本 🍵"},
                "objectWriteTraceId": "doc-1",
            }
        ]
    }


def test_a_mixed_answer_is_taken_apart_by_traces() -> None:
    requests = [write_back(n, {"a": str(n)}, str(100 + n)) for n in range(5)]
    mixed = {
        "status": "COMPLETE",
        "numErrors": 2,
        "results": [
            {"id": "102", "properties": {}, "objectWriteTraceId": "doc-2"},
            {"id": "100", "properties": {}, "objectWriteTraceId": "doc-0"},
        ],
        "errors": [
            {
                "status": "error", "category": "VALIDATION_ERROR",
                "message": 'Property values were not valid: [{"isValid":false,"error":"INVALID_OPTION","name":"a"}]',
                "context": {"objectWriteTraceId": ["doc-3"]},
            },
            {"category": "OBJECT_NOT_FOUND", "message": "Could not get some ORDERs", "context": {"ids": ["101"]}},
        ],
    }  # fmt: skip
    answers, _ = send(mixed, *requests, status=207)
    assert [(one.outcome, one.reason) for one in answers] == [
        ("applied", None),
        ("refused", "record_not_found"),
        ("applied", None),
        ("refused", "invalid_choice"),
        ("uncertain", "item_missing"),
    ]


def test_one_error_without_a_name_is_that_of_the_one_item_without_a_word() -> None:
    mixed = {"results": [{"id": "101"}], "errors": [{"category": "VALIDATION_ERROR", "message": "x", "context": {}}]}
    answers, _ = send(mixed, *[write_back(n, {"a": "1"}, str(100 + n)) for n in range(2)], status=207)
    assert [one.outcome for one in answers] == ["refused", "applied"]


@pytest.mark.parametrize("reply", [answer([]), answer({"status": "COMPLETE"}), httpx.Response(200, content=b"<html>")])
def test_an_answer_that_cannot_be_read_leaves_all_uncertain(reply: httpx.Response) -> None:
    answers, _ = send(reply, write_back(1, {"a": "1"}), write_back(2, {"a": "1"}, "5"))
    assert {one.outcome for one in answers} == {"uncertain"}


def test_a_whole_batch_that_is_refused_says_that_each_is_to_go_alone() -> None:
    reply = {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": 'Property "zz" does not exist',
        "errors": [{"code": "PROPERTY_DOESNT_EXIST", "message": "zz"}],
    }
    answers, _ = send(reply, write_back(1, {"zz": "1"}), write_back(2, {"zz": "1"}, "5"), status=400)
    assert {one.reason for one in answers} == {"batch_refused"}
    (alone,), _ = send(reply, write_back(1, {"zz": "1"}), status=400)
    assert (alone.outcome, alone.reason) == ("refused", "unknown_field")


@pytest.mark.parametrize(
    ("category", "code", "message", "reason"),
    [
        ("VALIDATION_ERROR", "READ_ONLY_VALUE", "", "field_not_writable"),
        ("VALIDATION_ERROR", "INVALID_DATE", "", "wrong_type"),
        ("CONFLICT", "", "abc already has that value.", "duplicate_value"),
        ("VALIDATION_ERROR", "", "Cannot set it: another object already has that value", "duplicate_value"),
        ("VALIDATION_ERROR", "", "something else", "validation"),
    ],
)  # fmt: skip
def test_reasons(category: str, code: str, message: str, reason: str) -> None:
    reply = {"category": category, "message": message or "m", "errors": [{"code": code, "message": message}]}
    (got,), _ = send(reply, write_back(1, {"a": "1"}), status=409 if category == "CONFLICT" else 400)
    assert (got.outcome, got.reason) == ("refused", reason)


def test_a_missing_right_stops_the_batch_and_says_that_nothing_was_applied() -> None:
    with pytest.raises(PermissionDenied):
        send({"category": "MISSING_SCOPES", "message": "scopes"}, write_back(1, {"a": "1"}), status=403)


def test_two_items_of_one_record_are_never_in_one_batch() -> None:
    answers, wire = send({"results": [{"id": ORDER}]}, write_back(1, {"a": "1"}), write_back(2, {"a": "2"}))
    assert [(one.outcome, one.reason) for one in answers] == [("applied", None), ("throttled", "same_record")]
    assert len(body(wire.asked[0])["inputs"]) == 1


UNSENDABLE = [
    b"[]",
    b"{}",
    {"properties": {}},
    {"id": "x y", "properties": {"a": "1"}},
    {"id": "1", "properties": {"a": [1]}},
    {"id": "1", "properties": {"a": "1"}, "archived": True},
]


@pytest.mark.parametrize("bad", UNSENDABLE)
def test_a_body_that_cannot_be_sent_is_refused_before(bad: Any) -> None:
    connector, wire, _ = crm()
    (got,) = connector.send(connector.operation("orders.write_back"), [item(1, "orders.write_back", bad, "not-an-id")])
    assert (got.outcome, got.reason, wire.asked) == ("refused", "body_unreadable", [])


def upserted(number: int, **links: str) -> Request:
    value = {"properties": {"tieout_ledger_invoice_id": f"inv-{number}", "tieout_total": Decimal("10.00")}}
    return item(number, "ledger_invoices.upsert", {**value, "associations": links}, f"inv-{number}")


def test_an_upsert_goes_by_the_unique_property_and_associates_afterwards() -> None:
    done = {
        "results": [
            {
                "id": "901",
                "new": True,
                "properties": {"tieout_ledger_invoice_id": "inv-1"},
                "objectWriteTraceId": "doc-1",
            }
        ]
    }
    connector, wire, _ = crm(
        ("POST", "/crm/v3/objects/ledger_invoices/batch/upsert", answer(done)),
        (
            "POST",
            "/crm/v4/associations/ledger_invoices/companies/batch/associate/default",
            answer({"status": "COMPLETE", "results": []}),
        ),
    )
    (got,) = connector.send(connector.operation("ledger_invoices.upsert"), [upserted(1, companies="55")])
    assert (got.outcome, got.vendor_id) == ("applied", "901")
    first, second = wire.asked
    (sent,) = body(first)["inputs"]
    assert (sent["id"], sent["idProperty"]) == ("inv-1", "tieout_ledger_invoice_id")
    assert body(second) == {"inputs": [{"from": {"id": "901"}, "to": {"id": "55"}}]}


def test_a_record_without_its_association_is_not_called_done() -> None:
    done = {"results": [{"id": "901", "objectWriteTraceId": "doc-1"}]}
    connector, _, _ = crm(
        ("POST", "/crm/v3/objects/ledger_invoices/batch/upsert", answer(done)),
        ("POST", "/crm/v4/associations/", answer({}, 502)),
    )
    (got,) = connector.send(connector.operation("ledger_invoices.upsert"), [upserted(1, companies="55")])
    assert got.outcome == "uncertain"


def test_prices_of_one_product_become_one_input_of_its_properties() -> None:
    def price(number: int, code: str, active: bool) -> Request:
        made = {"product_id": "5", "currency": code, "unit_price": Decimal("3.50"), "active": active}
        return item(number, "prices.create", made, f"5:{code}")

    answers, wire = send(
        {"results": [{"id": "5", "objectWriteTraceId": "doc-1"}]}, price(1, "EUR", True), price(2, "USD", False)
    )
    assert [(one.outcome, one.vendor_id) for one in answers] == [("applied", "5:EUR"), ("applied", "5:USD")]
    (sent,) = body(wire.calls("POST", "/crm/v3/objects/products/batch/update")[0])["inputs"]
    assert sent["properties"] == {"hs_price_eur": "3.50", "price": ""}


# ---- looking up


def look_up(request: Request, *found: dict[str, Any], links: httpx.Response | None = None) -> Any:
    connector, wire, _ = crm(
        *SETTINGS,
        ("POST", "/crm/v3/objects/", answer({"status": "COMPLETE", "results": list(found)})),
        ("POST", "/crm/v4/associations/", links or assoc()),
    )
    return connector.look_up(connector.operation(request.operation), [request])["doc-1"], wire


def test_a_look_up_compares_by_value() -> None:
    sent = {"a": Decimal("10.50"), "b": True, "c": None, "d": "2024-05-01T10:00:00.123456+00:00", "e": " x "}
    there = {"a": "10.5", "b": "true", "c": None, "d": "2024-05-01T10:00:00.123Z", "e": "x"}
    (found,), _ = look_up(write_back(1, sent), {"id": ORDER, "properties": there})
    assert (found.vendor_id, found.differences) == (ORDER, ())
    (found,), _ = look_up(write_back(1, sent), {"id": ORDER, "properties": {**there, "a": "10.51", "c": "late"}})
    assert found.differences == (("a", "10.50", "10.51"), ("c", "", "late"))


def test_a_record_that_is_gone_is_not_found() -> None:
    found, _ = look_up(write_back(1, {"a": "1"}))
    assert found == []


def test_an_upsert_is_looked_up_by_its_unique_property_with_its_association() -> None:
    there = {"id": "901", "properties": {"tieout_ledger_invoice_id": "INV-1", "tieout_total": "10"}}
    (found,), wire = look_up(upserted(1, companies="55"), there, links=assoc((901, [(56, None)])))
    assert body(wire.asked[0])["idProperty"] == "tieout_ledger_invoice_id"
    assert ("associations.companies", "55", "56") in found.differences


def test_a_price_that_was_never_set_is_not_found() -> None:
    request = item(1, "prices.create", {"product_id": "5", "currency": "EUR", "unit_price": Decimal("3.5")}, "5:EUR")
    assert look_up(request, {"id": "5", "properties": {"hs_price_eur": None}})[0] == []
    (found,), _ = look_up(request, {"id": "5", "properties": {"hs_price_eur": "3.50"}})
    assert (found.vendor_id, found.differences) == ("5:EUR", ())


def test_a_look_up_that_cannot_be_answered_is_retriable() -> None:
    connector, _, _ = crm(("POST", "/crm/v3/objects/", answer({}, 502)))
    with pytest.raises(Retriable):
        connector.look_up(connector.operation("orders.write_back"), [write_back(1, {"a": "1"})])


# ---- the set-up


def test_the_set_up_makes_what_is_missing_and_nothing_twice() -> None:
    wanted = json.loads((ROOT / "include" / "crm_setup" / "hubspot.json").read_text(encoding="utf-8"))
    there: dict[str, list[Any]] = {"/crm/v3/schemas": []}

    def get(request: httpx.Request) -> httpx.Response:
        return answer({"results": there.get(request.url.path, [])})

    def post(request: httpx.Request) -> httpx.Response:
        made = body(request)
        there.setdefault(request.url.path, []).append({"id": "1", **made})
        for prop in made.get("properties", []):
            there.setdefault(f"/crm/v3/properties/{made['name']}", []).append(prop)
        return answer({}, 201)

    connector, wire, _ = crm(("GET", "/", get), ("POST", "/", post))
    done = connector.set_up(wanted)
    assert "custom object ledger_invoices" in done and "property orders.tieout_invoice_id" in done
    assert "pipeline Returns of tickets" in done and not any("return_lines" in one for one in done)
    before = len(wire.calls("POST", "/"))
    assert connector.set_up(wanted) == []
    assert len(wire.calls("POST", "/")) == before
