"""Tokens, scopes, rate limits by headers, faults of the wire, restarts, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from tests.sandbox_hubspot.conftest import HubSpot, where

FORM = {
    "grant_type": "refresh_token",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "refresh_token": "sandbox-refresh",
}


def test_oauth_tokens_expire(hubspot: HubSpot) -> None:
    issued = hubspot.http.post("/oauth/v1/token", data=FORM).json()
    assert (issued["expires_in"], issued["refresh_token"], issued["token_type"]) == (1800, "sandbox-refresh", "bearer")
    hubspot.http.headers["Authorization"] = f"Bearer {issued['access_token']}"
    assert hubspot.get("/crm/v3/owners/")["results"]
    hubspot.settings(clock_offset_seconds=1801)
    assert hubspot.refused("GET", "/crm/v3/owners")[:2] == (401, "EXPIRED_AUTHENTICATION")
    for field in FORM:
        assert hubspot.http.post("/oauth/v1/token", data=FORM | {field: "x"}).status_code == 400
    hubspot.http.headers["Authorization"] = "Bearer nonsense"
    assert hubspot.refused("GET", "/crm/v3/owners")[:2] == (401, "INVALID_AUTHENTICATION")


def test_scopes(hubspot: HubSpot) -> None:
    hubspot.settings(scopes=["crm.objects.deals.read"])
    hubspot.get("/crm/v3/objects/deals")
    hubspot.search("deals")
    body: dict[str, Any] = {"properties": {}}
    assert hubspot.refused("POST", "/crm/v3/objects/deals", body)[:2] == (403, "MISSING_SCOPES")
    assert hubspot.refused("GET", "/crm/v3/objects/companies")[:2] == (403, "MISSING_SCOPES")


def test_ten_seconds_and_the_day(hubspot: HubSpot) -> None:
    hubspot.settings(limits={"ten_seconds": 3, "daily": 5})
    for left in (2, 1, 0):
        headers = hubspot.http.get("/crm/v3/owners").headers
        assert headers["X-HubSpot-RateLimit-Remaining"] == str(left)
    assert headers["X-HubSpot-RateLimit-Max"] == "3"
    assert headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    assert headers["X-HubSpot-RateLimit-Daily"] == "5" and headers["X-HubSpot-RateLimit-Daily-Remaining"] == "2"
    status, answer = hubspot.call("GET", "/crm/v3/owners")
    assert (status, answer["policyName"], answer["errorType"]) == (429, "TEN_SECONDLY_ROLLING", "RATE_LIMIT")
    hubspot.settings(clock_offset_seconds=11)
    assert [hubspot.call("GET", "/crm/v3/owners")[0] for _ in range(3)] == [200, 200, 429]
    assert hubspot.call("GET", "/crm/v3/owners")[1]["policyName"] == "DAILY"


def test_searches_have_a_limit_of_their_own(hubspot: HubSpot) -> None:
    hubspot.settings(limits={"search_per_second": 2})
    answers = [hubspot.http.post("/crm/v3/objects/deals/search", json={}) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[2].json()["policyName"] == "SECONDLY"
    assert not [name for one in answers for name in one.headers if "ratelimit" in name]
    assert hubspot.call("GET", "/crm/v3/owners")[0] == 200


def test_faults_in_the_words_of_the_vendor(hubspot: HubSpot) -> None:
    for fault, status, category in (
        ("status_429", 429, "RATE_LIMITS"),
        ("expired_token", 401, "EXPIRED_AUTHENTICATION"),
        ("error_500", 500, "INTERNAL_ERROR"),
    ):
        hubspot.sandbox.faults({"fault": fault, "system": "hubspot", "times": 1})
        assert hubspot.refused("GET", "/crm/v3/owners")[:2] == (status, category)
    hubspot.sandbox.faults({"fault": "lost_answer", "system": "hubspot", "times": 1})
    with pytest.raises(httpx.TransportError):
        hubspot.make("deals", dealname="D")
    assert hubspot.search("deals", where("dealname", "EQ", "D"))["total"] == 1
    hubspot.sandbox.faults({"fault": "stale_read", "system": "hubspot"})
    assert hubspot.search("deals")["total"] == 0 and hubspot.get("/crm/v3/objects/deals")["results"] == []


@pytest.mark.slow
def test_a_killed_sandbox_keeps_what_it_answered(hubspot: HubSpot) -> None:
    company, deal = hubspot.make("companies", name="株式会社"), hubspot.make("deals", dealname="D", amount="0.10")
    hubspot.ok("PUT", f"/crm/v4/objects/deals/{deal}/associations/default/companies/{company}")
    before = hubspot.get(f"/crm/v3/objects/deals/{deal}", associations="companies")
    hubspot.sandbox.kill()
    hubspot.sandbox.start()
    assert hubspot.get(f"/crm/v3/objects/deals/{deal}", associations="companies") == before
    assert int(hubspot.make("deals", dealname="E")) > int(deal)


def test_settings_are_checked(hubspot: HubSpot) -> None:
    for wrong in ({"nosuch": 1}, {"limits": {"hour": 1}}, {"search_lag_seconds": -1}, {"webhook_url": "x"}):
        answer = httpx.patch(f"{hubspot.sandbox.url}/_sandbox/settings", json={"hubspot": wrong})
        assert answer.status_code == 400 and answer.json()["error"]


def test_account_and_currencies(hubspot: HubSpot) -> None:
    details = hubspot.get("/account-info/v3/details")
    assert (details["portalId"], details["companyCurrency"], details["timeZone"]) == (62515, "USD", "US/Eastern")
    assert hubspot.get("/settings/v3/currencies/company-currency")["currencyCode"] == "USD"
    rate = {"fromCurrencyCode": "GBP", "conversionRate": 1.31, "effectiveAt": "2026-01-01T00:00:00Z"}
    hubspot.ok("POST", "/settings/v3/currencies/exchange-rates", rate)
    rates = hubspot.get("/settings/v3/currencies/exchange-rates")["results"]
    assert [(one["fromCurrencyCode"], one["conversionRate"]) for one in rates] == [
        ("GBP", 1.27),
        ("EUR", 1.08),
        ("GBP", 1.31),
    ]
    current = hubspot.get("/settings/v3/currencies/exchange-rates/current")["results"]
    assert {one["fromCurrencyCode"]: one["conversionRate"] for one in current} == {"GBP": 1.31, "EUR": 1.08}
    codes = hubspot.get("/settings/v3/currencies/codes")["results"]
    assert [one["currencyCode"] for one in codes] == ["USD", "GBP", "EUR"]


def test_webhooks_are_signed_and_tried_again(hubspot: HubSpot) -> None:
    got: list[tuple[str, str, bytes]] = []
    enough = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["X-HubSpot-Request-Timestamp"], self.headers["X-HubSpot-Signature-v3"], body))
            self.send_response(503 if len(got) == 1 else 204)
            self.end_headers()
            if len(got) == 2:
                enough.set()

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        hubspot.settings(webhook_url=url, webhook_retry_seconds=0)
        deal = hubspot.make("deals", dealname="D")
        assert enough.wait(20)
    finally:
        server.shutdown()
        server.server_close()
    for attempt, (stamp, signed, body) in enumerate(got):
        text = b"POST" + url.encode() + body + stamp.encode()
        wanted = base64.b64encode(hmac.new(b"sandbox-secret", text, hashlib.sha256).digest()).decode()
        event = json.loads(body)[0]
        assert signed == wanted and event["attemptNumber"] == attempt
        assert (event["subscriptionType"], str(event["objectId"])) == ("deal.creation", deal)
