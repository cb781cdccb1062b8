"""What New System's objects have and take. TODO: each by the page of the vendor's reference."""

from __future__ import annotations

from tieout.mapping.limits.fields import Limit, computed, numbers, plain, texts

_SYSTEM = {**plain("id"), **computed("modified")}

LIMITS: dict[str, dict[str, Limit]] = {
    "accounts": {
        **_SYSTEM,
        **texts(200, "name", "email", "city", "region"),
        **texts(500, "street"),
        **texts(80, "country"),
        **texts(50, "number", "postcode", "ledger_number"),
        **texts(40, "tax_id"),
        **texts(36, "ledger_id"),
        **plain("currency"),
    },
    "orders": {
        **_SYSTEM,
        **texts(60, "number"),
        **texts(200, "reference"),
        **texts(255, "invoice_number", "message"),
        **texts(40, "invoice_status"),
        **texts(36, "invoice_id"),
        **plain("account_id", "date", "currency", "status", "invoice_paid_on", "refunded_on"),
        **numbers(3, "freight", "invoice_total", "invoice_due", "invoice_paid", "refunded"),
        "exchange_rate": Limit(rate="foreign_per_base", precision=10),
    },
    "order_lines": {
        **_SYSTEM,
        **plain("order_id", "position", "tax_code"),
        **texts(80, "code"),
        **texts(1000, "description"),
        **numbers(6, "quantity", "unit_price"),
        **numbers(4, "discount_percent"),
    },
    "ledger_invoices": {
        **_SYSTEM,
        **texts(36, "invoice_id", required=True),
        **texts(255, "number"),
        **texts(40, "kind", "status"),
        **plain("account_id", "currency", "date", "due_date", "paid_on"),
        **numbers(3, "total", "due", "paid"),
    },
}
