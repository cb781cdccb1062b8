"""HubSpot's connector over real HTTP: batches of which a part fails, upserts, associations, objects side by side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.connectors.hubspot_portal import ENTITIES, FAR, Portal
from tests.connectors.wires import item
from tests.support.sandbox import SandboxProcess
from tieout.connectors.base import Answer, Request
from tieout.connectors.hubspot.connector import HubSpotConnector

pytestmark = pytest.mark.slow


@pytest.fixture
def portal(sandbox: SandboxProcess) -> Iterator[Portal]:
    made = Portal(sandbox)
    yield made
    made.close()


def send(connector: HubSpotConnector, *requests: Request) -> list[Answer]:
    return list(connector.send(connector.operation(requests[0].operation), requests))


def found(connector: HubSpotConnector, request: Request) -> list[tuple[str, tuple[tuple[str, str, str], ...]]]:
    """(id, what differs) of what a look-up meets."""
    answers = connector.look_up(connector.operation(request.operation), [request])[request.doc_uid]
    return [(one.vendor_id, one.differences) for one in answers]


def of_company(number: int, id_: str, **properties: Any) -> Request:
    return item(number, "accounts.write_back", {"id": id_, "properties": properties}, id_)


def of_invoice(number: int, key: str, total: str, company: str | None = None) -> Request:
    body = {"properties": {"tieout_ledger_invoice_id": key, "tieout_number": key, "tieout_total": Decimal(total)},
            "associations": {"companies": company}}  # fmt: skip
    return item(number, "ledger_invoices.upsert", body, key)


def test_each_item_of_a_batch_ends_on_its_own(portal: Portal) -> None:
    connector = portal.connector()
    ids = portal.load("companies", [portal.now()] * 100)
    portal.archive("companies", ids[3])
    wrong = {
        3: ("record_not_found", {"tieout_ledger_number": "N"}),
        20: ("wrong_type", {"tieout_credit_limit": "much"}),
        40: ("unknown_field", {"tieout_nothing": "x"}),
        60: ("wrong_type", {"tieout_credit_as_of": "tomorrow"}),
        99: ("duplicate_value", {"tieout_ledger_id": "L-0"}),
    }
    requests = [
        of_company(n, id_, **(wrong[n][1] if n in wrong else {"tieout_ledger_id": f"L-{n}"}))
        for n, id_ in enumerate(ids)
    ]
    answers = send(connector, *requests)
    assert [one.doc_uid for one in answers] == [one.doc_uid for one in requests]
    assert {n: one.reason for n, one in enumerate(answers) if one.outcome != "applied"} == {
        n: reason for n, (reason, _) in wrong.items()
    }
    assert {one.vendor_id for one in answers if one.outcome == "applied"} == {
        id_ for n, id_ in enumerate(ids) if n not in wrong
    }
    # The record is gone, the others hold what was sent.
    assert found(connector, requests[3]) == []
    assert found(connector, requests[0]) == [(ids[0], ())]


def test_an_item_that_the_answer_leaves_out_is_uncertain_and_the_look_up_decides(portal: Portal) -> None:
    connector = portal.connector()
    ids = portal.load("companies", [portal.now()] * 5)
    requests = [of_company(n, id_, tieout_ledger_number=f"N-{n}") for n, id_ in enumerate(ids)]
    portal.sandbox.faults(
        {"system": "hubspot", "path": "*/batch/update", "fault": "item_missing", "times": 1, "params": {"index": 1}}
    )
    answers = send(connector, *requests)
    (lost,) = (n for n, one in enumerate(answers) if one.outcome != "applied")
    assert (answers[lost].outcome, answers[lost].reason) == ("uncertain", "item_missing")
    assert found(connector, requests[lost]) == [(ids[lost], ())]


def test_an_upsert_makes_a_record_once_and_finds_it_by_its_key(portal: Portal) -> None:
    connector = portal.connector()
    ann, bo = (portal.make("companies", name=name) for name in ("Ann", "Bo"))
    first = send(connector, *(of_invoice(n, f"INV-{n}", "10.5", ann) for n in range(100)))
    assert {one.outcome for one in first} == {"applied"} and len({one.vendor_id for one in first}) == 100
    again = send(connector, *(of_invoice(n, f"INV-{n}", "11", ann) for n in range(100)))
    assert [one.vendor_id for one in again] == [one.vendor_id for one in first]
    assert found(connector, of_invoice(7, "INV-7", "11.00", ann)) == [(first[7].vendor_id, ())]
    ((_, differences),) = found(connector, of_invoice(7, "INV-7", "12", bo))
    assert differences == (("tieout_total", "12", "11"), ("associations.companies", bo, ann))
    assert found(connector, of_invoice(999, "INV-999", "1")) == []
    # One key twice in a batch: HubSpot would refuse all of it.
    twice = send(connector, of_invoice(1, "INV-1", "1", ann), of_invoice(2, "INV-1", "2", ann))
    assert [(one.outcome, one.reason) for one in twice] == [("applied", None), ("throttled", "same_record")]


def test_a_record_without_its_association_is_not_called_done(portal: Portal) -> None:
    connector = portal.connector()
    ann, gone = (portal.make("companies", name=name) for name in ("Ann", "Gone"))
    portal.archive("companies", gone)
    (alone,) = send(connector, of_invoice(1, "INV-1", "1", gone))
    assert alone.outcome in ("refused", "uncertain") and "association with companies" in alone.message
    answers = send(connector, of_invoice(2, "INV-2", "1", ann), of_invoice(3, "INV-3", "1", gone))
    # Which of the two pairs was not made is not said: both are looked up.
    assert [one.outcome for one in answers] == ["uncertain", "uncertain"]
    assert found(connector, of_invoice(2, "INV-2", "1", ann))[0][1] == ()
    assert found(connector, of_invoice(3, "INV-3", "1", gone))[0][1] == (("associations.companies", gone, ""),)


def test_write_backs_of_two_links_go_to_the_objects_that_they_name(portal: Portal) -> None:
    connector = portal.connector()
    ticket = portal.make("tickets", subject="R", hs_pipeline="returns", hs_pipeline_stage="approved")
    custom = portal.make("returns", tieout_return_name="R")
    bodies: list[dict[str, Any]] = [{"id": ticket}, {"id": custom, "object": "returns"}]
    requests = [
        item(n, "return_orders.write_back", {**one, "properties": {"tieout_credit_number": f"C-{n}"}}, one["id"])
        for n, one in enumerate(bodies)
    ]
    assert [(one.outcome, one.reason) for one in send(connector, *requests)] == [
        ("applied", None), ("throttled", "other_object"),
    ]  # fmt: skip
    assert [one.outcome for one in send(connector, requests[1])] == ["applied"]
    both = connector.look_up(connector.operation("return_orders.write_back"), requests)
    assert [[(one.vendor_id, one.differences) for one in both[f"doc-{n}"]] for n in range(2)] == [
        [(ticket, ())], [(custom, ())],
    ]  # fmt: skip
    wrong = item(3, "return_orders.write_back", {"id": ticket, "object": "a b", "properties": {"x": "1"}}, ticket)
    assert [one.reason for one in send(connector, wrong)] == ["body_unreadable"]


def test_the_primary_company_is_meant_and_none_where_nobody_says_which(portal: Portal) -> None:
    connector = portal.connector()
    ann, bo = (portal.make("companies", name=name) for name in ("Ann", "Bo"))
    deal, order, alone = (portal.make(kind) for kind in ("deals", "orders", "orders"))
    for company in (ann, bo):
        portal.join("deals", deal, "companies", company)
        portal.join("orders", order, "companies", company)
    deals = [r for page in connector.changed(ENTITIES["opportunity"], None, FAR) for r in page.records]
    assert [one["associations"]["companies"] for one in deals] == [ann]
    orders = [r for page in connector.changed(ENTITIES["order"], None, FAR) for r in page.records]
    shown = portal.api("GET", f"/crm/v4/objects/orders/{order}/associations/companies")["results"]
    primary = [one for one in shown if any(kind["label"] == "Primary" for kind in one["associationTypes"])]
    expected = str(primary[0]["toObjectId"]) if primary else None
    assert {one["id"]: one["associations"]["companies"] for one in orders} == {order: expected, alone: None}


def test_an_order_with_more_lines_than_a_page_of_associations_has_all_of_them(portal: Portal) -> None:
    connector = portal.connector()
    order = connector.insert("orders", [{"properties": {"hs_order_name": "O", "tieout_order_date": "2026-03-01"}}])[
        0
    ].id
    assert order
    lines = connector.insert(
        "line_items", [{"properties": {"name": f"L{n}"}, "associations": {"orders": order}} for n in range(620)]
    )
    assert all(one.success for one in lines)
    day = date(2026, 3, 1)
    pages = connector.dated(ENTITIES["order_line"], "properties.tieout_order_date", day, day, "associations.parent")
    got = [record for page in pages for record in page.records]
    assert {one["id"] for one in got} == {one.id for one in lines}
    assert {one["associations"]["orders"] for one in got} == {order}
