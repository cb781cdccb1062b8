"""HubSpot on a fake wire: what is asked, in which windows, and how answers are judged."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.connectors.hubspot_wire import (
    COMPANIES,
    LINES,
    SETTINGS,
    STAMP,
    Index,
    assoc,
    body,
    crm,
    ids,
    ms,
    record,
    spelled,
)
from tests.connectors.wires import NOW, answer, entity
from tieout.connectors.hubspot.objects import kind_of
from tieout.model.errors import (
    AuthenticationFailed,
    ConfigurationFault,
    Fatal,
    PermissionDenied,
    RateLimited,
)

# ---- reading


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("companies", ("companies", None, None)),
        ("line_items of orders", ("line_items", "orders", None)),
        ("tickets in pipeline returns", ("tickets", None, "returns")),
        ("tickets in pipeline Returns and repairs", ("tickets", None, "Returns and repairs")),
        ("p_returns", ("p_returns", None, None)),
    ],
)
def test_what_an_object_means(text: str, kind: tuple[str, str | None, str | None]) -> None:
    found = kind_of(text)
    assert (found.object, found.parent, found.pipeline) == kind


@pytest.mark.parametrize("text", ["", "companies/1", "line_items of", "a b", "tickets in pipeline"])
def test_an_object_that_means_nothing_is_a_fault_of_the_mapping(text: str) -> None:
    with pytest.raises(ConfigurationFault, match="expected an object"):
        kind_of(text)


def test_a_path_that_records_do_not_have_is_a_fault_of_the_mapping() -> None:
    connector, _, _ = crm()
    wrong = entity("hubspot", "companies", "id", STAMP, name=("Name", "text"))
    with pytest.raises(ConfigurationFault, match="has no 'Name'; expected properties"):
        list(connector.changed(wrong, None, NOW))


def test_a_window_ends_before_the_index_is_behind_and_is_half_open_in_milliseconds() -> None:
    index = Index({})
    connector, _, _ = crm(*index.rules)
    since = datetime(2024, 4, 30, 10, 0, 0, 123_456, tzinfo=UTC)
    list(connector.changed(COMPANIES, since, NOW))
    (asked,) = index.searches
    assert asked["filterGroups"] == [
        {
            "filters": [
                {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": str(ms(since) + 1)},
                {
                    "propertyName": "hs_lastmodifieddate",
                    "operator": "LT",
                    "value": str(ms(NOW - timedelta(seconds=60))),
                },
            ]
        }
    ]
    assert asked["sorts"] == [{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}]


def test_the_index_lag_and_how_far_to_look_back_are_settings() -> None:
    index = Index({})
    connector, _, _ = crm(*index.rules, index_lag="5", look_back="600")
    list(connector.changed(COMPANIES, NOW - timedelta(hours=1), NOW))
    low, high = (int(one["value"]) for one in index.searches[0]["filterGroups"][0]["filters"])
    assert (low, high) == (ms(NOW - timedelta(hours=1, seconds=600)), ms(NOW - timedelta(seconds=5)))
    # Beyond the overlap of two windows nothing may be left to the next one.
    with pytest.raises(ConfigurationFault, match="index_lag must be a number from 0 to 240"):
        crm(index_lag="300")


def test_windows_move_on_by_time_and_within_one_time_stamp_by_id() -> None:
    start = datetime(2024, 4, 1, tzinfo=UTC)
    moments = {n: start + timedelta(milliseconds=n) for n in range(1, 301)}
    moments |= {n: start + timedelta(seconds=1) for n in range(1001, 1951)}  # 950 of one time stamp
    moments |= {n: start + timedelta(seconds=2) for n in range(5001, 5004)}
    index = Index(moments)
    connector, _, _ = crm(*index.rules)
    got = ids(connector.changed(COMPANIES, start, NOW))
    assert sorted(map(int, got)) == sorted(moments) and len(got) == len(moments)
    assert any(one["sorts"][0]["propertyName"] == "hs_object_id" for one in index.searches)


def test_a_record_that_changes_while_it_is_read_moves_nothing_out_of_sight() -> None:
    start = datetime(2024, 4, 1, tzinfo=UTC)
    index = Index({n: start + timedelta(seconds=n) for n in range(1, 2501)})
    connector, _, _ = crm(*index.rules)
    got: list[str] = []
    for number, page in enumerate(connector.changed(COMPANIES, start, NOW)):
        got += [one["id"] for one in page.records]
        if number == 0:
            index.moments |= {n: start + timedelta(days=2) for n in range(1, 300)}
    assert {int(one) for one in got} == set(index.moments)


def test_searches_keep_their_distance() -> None:
    start = datetime(2024, 4, 1, tzinfo=UTC)
    index = Index({n: start + timedelta(seconds=n) for n in range(1, 1001)})
    connector, _, time = crm(*index.rules)
    begin = time.seconds
    list(connector.changed(COMPANIES, start, NOW))
    assert time.seconds - begin >= (len(index.searches) - 1) * 0.2


def test_the_first_read_is_a_list_and_leaves_what_is_newer_to_the_next_window() -> None:
    late = record(3, NOW + timedelta(seconds=1))
    pages = [
        answer({"results": [record(1), record(2, NOW - timedelta(days=1))], "paging": {"next": {"after": "2"}}}),
        answer({"results": [late]}),
    ]
    connector, wire, _ = crm(("GET", "/crm/v3/objects/companies", pages))
    assert ids(connector.changed(COMPANIES, None, NOW + timedelta(milliseconds=1))) == ["1", "2"]
    first, second = wire.asked
    assert dict(first.url.params) == {
        "limit": "100", "archived": "false", "properties": "hs_lastmodifieddate,name"
    }  # fmt: skip
    assert second.url.params["after"] == "2"


def test_more_properties_than_a_url_holds_are_asked_for_in_a_body() -> None:
    wide = entity(
        "hubspot", "companies", "id", STAMP, **{f"c{n}": (f"properties.{'x' * 60}{n}", "text") for n in range(80)}
    )  # type: ignore[arg-type]
    connector, wire, _ = crm(
        ("GET", "/crm/v3/objects/companies", answer({"results": [record(1)]})),
        ("POST", "/crm/v3/objects/companies/batch/read", answer({"results": [record(1)]})),
    )
    assert ids(connector.changed(wide, None, NOW + timedelta(days=1))) == ["1"]
    assert wire.asked[0].url.params["properties"] == "hs_object_id"
    assert len(body(wire.asked[1])["properties"]) == 81


def test_lines_come_with_their_order_and_those_of_other_things_are_left_out() -> None:
    connector, wire, _ = crm(
        ("GET", "/crm/v3/objects/line_items", answer({"results": [record(1), record(2), record(3)]})),
        ("POST", "/crm/v4/associations/line_items/orders/batch/read", assoc((1, [(77, None)]), (3, [(78, None)]))),
    )
    (page,) = connector.changed(LINES, None, NOW + timedelta(days=1))
    assert [(one["id"], one["associations"]["orders"]) for one in page.records] == [("1", "77"), ("3", "78")]
    assert body(wire.asked[1]) == {"inputs": [{"id": "1"}, {"id": "2"}, {"id": "3"}]}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], None),
        ([(5, None)], "5"),
        ([(5, None), (6, "Primary")], "6"),
        ([(5, "Primary"), (5, None)], "5"),
        ([(5, None), (6, None)], None),  # nobody says which
    ],
)
def test_which_of_several_associations_is_meant(others: list[tuple[int, str | None]], expected: str | None) -> None:
    of_company = entity("hubspot", "deals", "id", STAMP, account=("associations.companies", "text"))
    connector, _, _ = crm(
        ("GET", "/crm/v3/objects/deals", answer({"results": [record(1)]})),
        ("POST", "/crm/v4/associations/deals/companies/batch/read", assoc((1, others))),
    )
    (page,) = connector.changed(of_company, None, NOW + timedelta(days=1))
    assert page.records[0]["associations"] == {"companies": expected}


PIPELINES = answer(
    {
        "results": [
            {
                "id": "0",
                "label": "Support",
                "stages": [{"id": "1", "label": "New", "metadata": {"ticketState": "OPEN"}}],
            },
            {
                "id": "903",
                "label": "Returns",
                "stages": [
                    {"id": "11", "label": "Approved", "metadata": {"ticketState": "OPEN"}},
                    {"id": "12", "label": "Closed", "metadata": {"ticketState": "CLOSED"}},
                ],
            },
        ]
    }
)


def test_a_pipeline_is_found_by_its_label_and_stages_are_given_as_people_see_them() -> None:
    returns = entity("hubspot", "tickets in pipeline returns", "id", STAMP, status=("stage.label", "text"))
    tickets = [
        record(1, hs_pipeline="903", hs_pipeline_stage="11"),
        record(2, hs_pipeline="0", hs_pipeline_stage="1"),
        record(3, hs_pipeline="903", hs_pipeline_stage="99"),
    ]
    connector, _, _ = crm(
        ("GET", "/crm/v3/pipelines/tickets", PIPELINES),
        ("GET", "/crm/v3/objects/tickets", answer({"results": tickets})),
    )
    (page,) = connector.changed(returns, None, NOW + timedelta(days=1))
    assert [(one["id"], one["stage"].get("label")) for one in page.records] == [("1", "Approved"), ("3", None)]


def test_a_pipeline_that_is_not_there_is_named_with_those_that_are() -> None:
    wrong = entity("hubspot", "tickets in pipeline refunds", "id", STAMP, id=("id", "text"))
    connector, _, _ = crm(("GET", "/crm/v3/pipelines/tickets", PIPELINES))
    with pytest.raises(ConfigurationFault, match="there are: Support, Returns"):
        list(connector.changed(wrong, None, NOW))


def test_a_deal_is_won_by_the_meaning_of_its_stage() -> None:
    stages = [
        {"id": "a", "label": "Gewonnen", "metadata": {"isClosed": "true", "probability": "1.0"}},
        {"id": "b", "label": "Verloren", "metadata": {"isClosed": "true", "probability": "0.0"}},
        {"id": "c", "label": "Offen", "metadata": {"isClosed": "false", "probability": "0.4"}},
    ]
    deals = [record(n, pipeline="p", dealstage=stage) for n, stage in enumerate("abc", 1)]
    of_won = entity("hubspot", "deals", "id", STAMP, won=("stage.won", "boolean"), closed=("stage.closed", "boolean"))
    connector, _, _ = crm(
        ("GET", "/crm/v3/pipelines/deals", answer({"results": [{"id": "p", "label": "Sales", "stages": stages}]})),
        ("GET", "/crm/v3/objects/deals", answer({"results": deals})),
    )
    (page,) = connector.changed(of_won, None, NOW + timedelta(days=1))
    assert [(one["stage"]["won"], one["stage"]["closed"]) for one in page.records] == [
        ("true", "true"), ("false", "true"), ("false", "false")
    ]  # fmt: skip


def test_archived_records_and_the_losers_of_merges_are_told_as_deleted() -> None:
    archived = [
        {**record(1), "archived": True, "archivedAt": spelled(NOW - timedelta(hours=1))},
        {**record(2), "archived": True, "archivedAt": spelled(NOW - timedelta(days=3))},
    ]
    connector, wire, _ = crm(
        ("GET", "/crm/v3/objects/companies", answer({"results": archived})),
        ("POST", "/crm/v3/objects/companies/search", answer({"results": [record(9)]})),
        (
            "POST",
            "/crm/v3/objects/companies/batch/read",
            answer({"results": [record(9, hs_merged_object_ids="7;8;9")]}),
        ),
    )
    assert [list(page) for page in connector.deleted(COMPANIES, NOW - timedelta(days=1), NOW)] == [["1"], ["7", "8"]]
    filters = body(wire.calls("POST", "/crm/v3/objects/companies/search")[0])["filterGroups"][0]["filters"]
    assert {"propertyName": "hs_merged_object_ids", "operator": "HAS_PROPERTY"} in filters


def test_what_was_archived_longer_ago_than_hubspot_keeps_it_is_no_empty_answer() -> None:
    connector, _, _ = crm()
    with pytest.raises(Fatal, match="read the object whole once and compare"):
        list(connector.deleted(COMPANIES, NOW - timedelta(days=91), NOW))


def test_the_old_id_of_a_merged_record_does_not_bring_the_winner() -> None:
    connector, _, _ = crm(("POST", "/crm/v3/objects/companies/batch/read", answer({"results": [record(9)]})))
    assert ids(connector.fetch(COMPANIES, ["7", "no-id"])) == []


def test_dated_reads_the_lines_of_the_orders_of_these_days() -> None:
    day = {"tieout_order_date": "2024-03-05"}
    connector, wire, _ = crm(
        ("GET", "/crm/v3/properties/orders/tieout_order_date", answer({"type": "date"})),
        ("POST", "/crm/v3/objects/orders/search", answer({"results": [record(77, **day)]})),
        ("POST", "/crm/v4/associations/orders/line_items/batch/read", assoc((77, [(1, None), (2, None)]))),
        ("POST", "/crm/v3/objects/line_items/batch/read", answer({"results": [record(1), record(2)]})),
        ("POST", "/crm/v4/associations/line_items/orders/batch/read", assoc((1, [(77, None)]), (2, [(77, None)]))),
    )
    pages = connector.dated(
        LINES, "properties.tieout_order_date", date(2024, 3, 1), date(2024, 3, 31), "associations.orders"
    )
    assert ids(pages) == ["1", "2"]
    low, high = body(wire.calls("POST", "/crm/v3/objects/orders/search")[0])["filterGroups"][0]["filters"]
    assert (int(low["value"]), int(high["value"])) == (
        ms(datetime(2024, 3, 1, tzinfo=UTC)), ms(datetime(2024, 4, 1, tzinfo=UTC))
    )  # fmt: skip


def test_prices_are_made_of_the_properties_of_products() -> None:
    prices = entity("hubspot", "product_prices", "id", "updatedAt", price=("unit_price", "decimal"))
    product = record(5, price="12.50", hs_price_eur="11.4000", hs_sku="TEA-1")
    connector, wire, _ = crm(
        *SETTINGS, ("GET", "/crm/v3/objects/products", answer({"results": [product, record(6, price="")]}))
    )
    (page,) = connector.changed(prices, None, NOW + timedelta(days=1))
    assert [(one["id"], one["currency"], one["unit_price"], one["product_code"]) for one in page.records] == [
        ("5:USD", "USD", "12.50", "TEA-1"), ("5:EUR", "EUR", "11.4000", "TEA-1")
    ]  # fmt: skip
    assert "hs_price_eur" in wire.asked[-1].url.params["properties"]


def test_prices_that_a_changed_product_has_no_more_are_told_as_deleted() -> None:
    prices = entity("hubspot", "product_prices", "id", "updatedAt", price=("unit_price", "decimal"))
    gone = {**record(4), "archived": True, "archivedAt": spelled(NOW - timedelta(hours=1))}
    connector, _, _ = crm(
        *SETTINGS,
        ("GET", "/crm/v3/objects/products", answer({"results": [gone]})),
        ("POST", "/crm/v3/objects/products/search", answer({"results": [record(5)]})),
        (
            "POST",
            "/crm/v3/objects/products/batch/read",
            answer({"results": [record(5, price="1.00", hs_price_eur="")]}),
        ),
    )
    pages = connector.deleted(prices, NOW - timedelta(days=1), NOW)
    assert [list(page) for page in pages] == [["4:USD", "4:EUR"], ["5:EUR"]]


def test_currencies_have_the_newest_rate() -> None:
    currencies = entity("hubspot", "currencies", "id", None, code=("code", "text"))
    connector, _, _ = crm(*SETTINGS)
    (page,) = connector.changed(currencies, None, NOW)
    assert [(one["code"], str(one["rate"]), one["is_base"]) for one in page.records] == [
        ("USD", "1", True), ("EUR", "1.10", False)
    ]  # fmt: skip


# ---- signing in, limits, errors


def test_a_private_apps_token_is_sent_and_never_renewed() -> None:
    refused = answer({"status": "error", "category": "INVALID_AUTHENTICATION", "message": "no"}, 401)
    connector, wire, _ = crm(("GET", "/crm/v3/objects/companies", refused))
    with pytest.raises(AuthenticationFailed, match="refuses the credentials"):
        list(connector.changed(COMPANIES, None, NOW))
    assert [one.headers["authorization"] for one in wire.asked] == ["Bearer s3cret-word"]


def test_an_oauth_token_is_renewed_before_its_end() -> None:
    connector, wire, time = crm(
        ("POST", "/oauth/v1/token", [answer({"access_token": f"t{n}", "expires_in": 1800}) for n in range(2)]),
        ("GET", "/crm/v3/objects/companies", answer({"results": []})),
        auth="oauth",
        refresh_token="r",
    )
    list(connector.changed(COMPANIES, None, NOW))
    time.seconds += 1739
    list(connector.changed(COMPANIES, None, NOW))
    time.seconds += 2
    list(connector.changed(COMPANIES, None, NOW))
    asked = wire.calls("GET", "/crm/v3/objects/companies")
    assert [one.headers["authorization"] for one in asked] == ["Bearer t0", "Bearer t0", "Bearer t1"]
    assert (
        wire.asked[0].content.decode()
        == "grant_type=refresh_token&client_id=client&client_secret=s3cret-word&refresh_token=r"
    )


def test_a_form_that_is_not_filled_in_says_so() -> None:
    with pytest.raises(ConfigurationFault, match="needs the refresh token"):
        crm(auth="oauth")
    with pytest.raises(ConfigurationFault, match="auth must be private_app or oauth"):
        crm(auth="password")


@pytest.mark.parametrize(("policy", "waited"), [("TEN_SECONDLY_ROLLING", 10.0), ("SECONDLY", 1.0)])
def test_a_short_limit_is_waited_for(policy: str, waited: float) -> None:
    limited = answer(
        {"status": "error", "errorType": "RATE_LIMIT", "message": "You have reached your limit.", "policyName": policy},
        429,
    )
    connector, _, time = crm(("GET", "/crm/v3/objects/companies", [limited, answer({"results": [record(1)]})]))
    assert ids(connector.changed(COMPANIES, None, NOW + timedelta(days=1))) == ["1"]
    assert waited in [round(nap, 3) for nap in time.naps]


def test_the_days_limit_is_handed_up() -> None:
    limited = answer({"status": "error", "message": "You have reached your daily limit.", "policyName": "DAILY"}, 429)
    connector, _, _ = crm(("GET", "/crm/v3/objects/companies", limited))
    with pytest.raises(RateLimited) as caught:
        list(connector.changed(COMPANIES, None, NOW))
    assert caught.value.retry_after == 900


def test_a_missing_scope_is_named() -> None:
    scopes = {
        "message": "One of these is required.",
        "context": {"requiredGranularScopes": ["crm.objects.orders.read"]},
    }
    denied = answer({"category": "MISSING_SCOPES", "message": "Not all scopes are granted.", "errors": [scopes]}, 403)
    connector, _, _ = crm(("GET", "/crm/v3/objects/companies", denied))
    with pytest.raises(PermissionDenied, match=r"needed: crm\.objects\.orders\.read"):
        list(connector.changed(COMPANIES, None, NOW))
