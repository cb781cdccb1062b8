"""Owners, the account's details, currencies and exchange rates."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.hubspot.call import Call
from sandbox.hubspot.errors import invalid, not_found
from sandbox.hubspot.wire import read_moment

_NAMES = {"USD": "US Dollar", "GBP": "British Pound", "EUR": "Euro"}


def owners(call: Call) -> Any:
    email, limit = call.one("email"), call.limit(100, 500)
    found = [one for one in call.portal.state.table("owners").values() if email in (None, one["email"])]
    after = call.one("after")
    if after is not None:
        found = [one for one in found if one["id"] >= after]
    answer: dict[str, Any] = {"results": found[:limit]}
    return answer | ({"paging": call.next_page(found[limit]["id"])} if len(found) > limit else {})


def owner(call: Call) -> Any:
    found = call.portal.state.table("owners").get(call.args["id"])
    if found is None:
        raise not_found()
    return found


def account(call: Call) -> Any:
    zone = str(call.portal.setting("time_zone"))
    try:
        away = datetime.now(UTC).astimezone(ZoneInfo(zone)).utcoffset()
    except (ZoneInfoNotFoundError, ValueError):
        away = None
    minutes = int(away.total_seconds() // 60) if away is not None else 0
    sign = "-" if minutes < 0 else "+"
    return {
        "portalId": call.portal.setting("portal_id"),
        "accountType": "SANDBOX",
        "timeZone": zone,
        "companyCurrency": call.portal.setting("company_currency"),
        "additionalCurrencies": call.portal.setting("additional_currencies"),
        "utcOffset": f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}",
        "utcOffsetMilliseconds": minutes * 60_000,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    }


def company_currency(call: Call) -> Any:
    code = call.portal.setting("company_currency")
    return {"currencyCode": code, "currencyName": _NAMES.get(code, code)}


def codes(call: Call) -> Any:
    """The currencies of the portal: the company's and the additional ones."""
    own = [call.portal.setting("company_currency"), *call.portal.setting("additional_currencies")]
    return {"results": [{"currencyCode": code, "currencyName": _NAMES.get(code, code)} for code in dict.fromkeys(own)]}


def rates(call: Call) -> Any:
    """Each rate ever given, oldest first; `from` and `to` narrow it down."""
    found = list(call.portal.state.table("exchange_rates").values())
    for parameter, key in (("fromCurrencyCode", "fromCurrencyCode"), ("toCurrencyCode", "toCurrencyCode")):
        asked = call.one(parameter)
        found = [one for one in found if asked in (None, one[key])]
    after, limit = call.one("after"), call.limit(100, 100)
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 20):
        raise invalid("after: no cursor of this list")
    rows = [one for one in found if after is None or int(one["id"]) >= int(after)]
    answer: dict[str, Any] = {"results": rows[:limit]}
    return answer | ({"paging": call.next_page(rows[limit]["id"])} if len(rows) > limit else {})


def current_rates(call: Call) -> Any:
    """The latest rate of each currency that holds now."""
    now, latest = call.portal.now(), {}
    for one in sorted(call.portal.state.table("exchange_rates").values(), key=lambda rate: rate["effectiveAt"]):
        if one["effectiveAt"] <= now:
            latest[one["fromCurrencyCode"]] = one
    return {"results": list(latest.values())}


def add_rate(call: Call) -> Any:
    """{fromCurrencyCode, conversionRate, effectiveAt}: units of the company currency for one of the foreign one."""
    sent, home = call.object(), call.portal.setting("company_currency")
    code = sent.get("fromCurrencyCode")
    if code not in call.portal.setting("additional_currencies"):
        raise invalid(f"{str(code)[:40]} is no currency of this portal")
    try:
        rate = Decimal(str(sent.get("conversionRate")))
        if not rate.is_finite() or rate <= 0 or rate.adjusted() > 20:
            raise InvalidOperation
    except InvalidOperation:
        raise invalid("conversionRate must be a number above 0") from None
    effective = call.portal.now() if sent.get("effectiveAt") is None else read_moment(sent["effectiveAt"])
    if effective is None:
        raise invalid("effectiveAt must be a time")
    now, id_ = call.portal.now(), call.portal.new_id()
    row = {"id": id_, "fromCurrencyCode": code, "toCurrencyCode": home, "conversionRate": rate}
    row |= {"effectiveAt": effective, "createdAt": now, "updatedAt": now, "visibleInUI": True}
    call.portal.state.table("exchange_rates").put(id_, row)
    return 201, row
