"""What New System's objects have and take. TODO: each by the page of the vendor's reference."""

from __future__ import annotations

from tieout.mapping.limits.fields import Limit, computed, numbers, plain, texts

_FOREIGN_PER_BASE = Limit(rate="foreign_per_base", precision=10)
_SYSTEM = {**plain("id"), **computed("modified")}
_SALE = {
    **_SYSTEM,
    **plain("customer_id", "date", "currency", required=True),
    **computed("status", "net", "tax", "total", "lines"),
    "exchange_rate": _FOREIGN_PER_BASE,
}

LIMITS: dict[str, dict[str, Limit]] = {
    "customers": {
        **_SYSTEM,
        **texts(200, "name", required=True),
        **texts(200, "email", "city", "region"),
        **texts(500, "street"),
        **texts(50, "reference", "postcode"),
        **texts(40, "tax_id"),
        **texts(80, "country"),
        **plain("currency", "active"),
    },
    "items": {
        **_SYSTEM,
        **texts(40, "code"),
        **texts(200, "name"),
        **texts(1000, "description"),
        **numbers(6, "price"),
        **plain("active"),
    },
    "invoices": {
        **_SALE,
        **texts(40, "number", required=True),
        **texts(200, "reference"),
        **texts(500, "source_url"),
        **plain("due_date"),
        **computed("due", "paid", "credited", "paid_on"),
    },
    "lines": {
        **plain("item_id", "tax_code"),
        **texts(20, "account"),
        **texts(1000, "description"),
        **numbers(6, "quantity", "unit_price"),
        **numbers(4, "discount_percent"),
        **numbers(3, "net"),
    },
    "credit_notes": {**_SALE, **texts(100, "reference", required=True), **computed("remaining", "allocations")},
    "applications": {**_SYSTEM, **plain("credit_note_id", "invoice_id", "date"), **numbers(3, "amount")},
    "payments": {
        **_SYSTEM,
        **plain("invoice_id", "date"),
        **numbers(3, "amount"),
        **texts(100, "reference"),
        **computed("customer_id", "currency", "status"),
        "exchange_rate": _FOREIGN_PER_BASE,
    },
    "currencies": plain("id", "code", "name", "active"),
    "tax_codes": plain("id", "code", "name", "rate", "active"),
    "company": plain("id", "name", "base_currency", "locked_until"),
}
