"""Rate limits: headers count down, 429 says which limit and for how long."""

from __future__ import annotations

import asyncio

import httpx

from tests.sandbox_xero.conftest import NO_LIMITS, Xero


def test_the_minute_limit_counts_down_and_opens_again(xero: Xero) -> None:
    xero.settings(limits={"minute": 3, "day": 100, "app_minute": 1000})
    used = 3  # calls that the fixture made: none to the API
    for left in range(used - 1, -1, -1):
        answer = xero.http.get("Organisation")
        assert answer.headers["X-MinLimit-Remaining"] == str(left)
    assert answer.headers["X-DayLimit-Remaining"] == "97"
    assert answer.headers["X-AppMinLimit-Remaining"] == "997"
    refused = xero.http.get("Organisation")
    assert refused.status_code == 429
    assert refused.headers["X-Rate-Limit-Problem"] == "minute"
    assert 50 <= int(refused.headers["Retry-After"]) <= 60
    xero.settings(clock_offset_seconds=61)
    assert xero.http.get("Organisation").status_code == 200


def test_a_minute_may_be_shorter_for_those_who_measure(xero: Xero) -> None:
    xero.settings(limits={"minute": 1}, minute_seconds=6)
    assert xero.http.get("Organisation").status_code == 200
    assert int(xero.http.get("Organisation").headers["Retry-After"]) <= 6
    xero.settings(clock_offset_seconds=7)
    assert xero.http.get("Organisation").status_code == 200


def test_a_refused_call_has_no_effect(xero: Xero) -> None:
    xero.settings(limits={"minute": 1})
    assert xero.http.get("Organisation").status_code == 200
    assert xero.call("PUT", "Contacts", {"Contacts": [{"Name": "X"}]})[0] == 429
    xero.settings(limits=NO_LIMITS)
    assert xero.get("Contacts")["Contacts"] == []


def test_the_day_limit_asks_for_hours(xero: Xero) -> None:
    xero.settings(limits={"day": 2})
    xero.http.get("Organisation")
    xero.http.get("Organisation")
    refused = xero.http.get("Organisation")
    assert refused.headers["X-Rate-Limit-Problem"] == "day"
    assert int(refused.headers["Retry-After"]) > 80_000


def test_more_calls_at_once_than_allowed_are_refused(xero: Xero) -> None:
    xero.settings(limits={"concurrent": 2}, latency_seconds=1)

    async def burst() -> list[httpx.Response]:
        async with httpx.AsyncClient(headers=xero.http.headers, timeout=30) as client:
            url = str(xero.http.base_url) + "Organisation"
            return list(await asyncio.gather(*(client.get(url) for _ in range(4))))

    answers = asyncio.run(burst())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    assert {a.headers["X-Rate-Limit-Problem"] for a in answers if a.status_code == 429} == {"concurrent"}
    xero.settings(latency_seconds=0)
    assert xero.http.get("Organisation").status_code == 200


def test_limits_are_off_when_null(xero: Xero) -> None:
    answer = xero.http.get("Organisation")
    assert not [name for name in answer.headers if "limit-remaining" in name]
