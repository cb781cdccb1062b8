"""The common model: the columns of each entity's frame. Mappings read into it and write out of it.

Types: `text` (pandas string), `minor` (nullable Int64 in the minor units of `currency`), `decimal` (pyarrow
decimal128, exact), `date` (datetime.date), `instant` (UTC), `boolean`, `integer` (Int64).
A mapping may add columns of its own (custom fields); these are the ones that scenarios rely on.
"""

from __future__ import annotations

ENTITIES: dict[str, dict[str, str]] = {
    "account": {
        "account_id": "text",
        "name": "text",
        "number": "text",
        "tax_id": "text",
        "email": "text",
        "phone": "text",
        "is_person": "boolean",
        "first_name": "text",
        "last_name": "text",
        "street": "text",
        "city": "text",
        "region": "text",
        "postcode": "text",
        "country": "text",
        "currency": "text",
        "status": "text",
        "ledger_id": "text",
        "crm_id": "text",
        "merged_into": "text",
        "merged_from": "text",  # ids of the records that became this one, with `;` between them
        "modified_at": "instant",
    },
    "contact": {
        "contact_id": "text",
        "account_id": "text",
        "first_name": "text",
        "last_name": "text",
        "email": "text",
        "is_billing": "boolean",
        "modified_at": "instant",
    },
    "product": {
        "product_id": "text",
        "code": "text",
        "name": "text",
        "description": "text",
        "active": "boolean",
        "tax_code": "text",
        "price": "decimal",
        "stock": "decimal",  # on hand; none where the ledger does not count it
        "quantity_prices": "text",  # prices from a quantity on, a line each
        "ledger_id": "text",  # the item's, as the CRM keeps it
        "modified_at": "instant",
    },
    "price_book": {"price_book_id": "text", "name": "text", "is_standard": "boolean", "active": "boolean"},
    "quote": {
        "quote_id": "text",
        "number": "text",
        "opportunity_id": "text",
        "status": "text",
        "accepted": "boolean",
        "closed": "boolean",
        "currency": "text",
        "freight_minor": "minor",
        "tax_minor": "minor",
        "total_minor": "minor",
        "modified_at": "instant",
    },
    # order, opportunity: a document that can be billed once `billable` says so.
    "order": {
        "order_id": "text",
        "number": "text",
        "account_id": "text",
        "opportunity_id": "text",
        "quote_id": "text",
        "status": "text",
        "billable": "boolean",
        "cancelled": "boolean",
        "order_date": "date",
        "currency": "text",
        "exchange_rate": "decimal",
        "freight_minor": "minor",
        "expected_tax_minor": "minor",
        "total_minor": "minor",
        "reference": "text",
        "product_code": "text",
        "modified_at": "instant",
    },
    # order_line, quote_line, opportunity_line have the same columns; parent_id names the order, quote, opportunity.
    "order_line": {
        "line_id": "text",
        "parent_id": "text",
        "position": "integer",
        "product_id": "text",
        "product_code": "text",
        "description": "text",
        "quantity": "decimal",
        "unit_price": "decimal",
        "discount_percent": "decimal",
        "tax_code": "text",
        "service_date": "date",
        "modified_at": "instant",
    },
    # Goods that come back: `creditable` once somebody has approved it.
    "return_order": {
        "return_id": "text",
        "number": "text",
        "order_id": "text",
        "account_id": "text",
        "status": "text",
        "creditable": "boolean",
        "cancelled": "boolean",
        "currency": "text",
        "fee_minor": "minor",
        "modified_at": "instant",
    },
    "return_order_line": {
        "line_id": "text",
        "parent_id": "text",
        "position": "integer",
        "order_line_id": "text",
        "quantity": "decimal",
        "unit_price": "decimal",
        "restock": "boolean",  # as somebody decided; none: nobody did
        "damaged": "boolean",
        "modified_at": "instant",
    },
    # What the ledger has or is to get.
    "invoice": {
        "invoice_id": "text",
        "number": "text",
        "kind": "text",
        "customer_id": "text",
        "date": "date",
        "due_date": "date",
        "currency": "text",
        "exchange_rate": "decimal",
        "status": "text",  # as the vendor has it
        "standing": "text",  # model/standing.py
        "reference": "text",
        "source_url": "text",
        "subtotal_minor": "minor",
        "tax_minor": "minor",
        "total_minor": "minor",
        "due_minor": "minor",
        "paid_minor": "minor",
        "credited_minor": "minor",
        "paid_on": "date",
        "line_nets": "text",  # before tax, one a line
        "line_taxes": "text",  # one a line
        "modified_at": "instant",
    },
    "invoice_line": {
        "invoice_id": "text",
        "position": "integer",
        "product_code": "text",
        "product_id": "text",  # of the ledger's item
        "description": "text",
        "quantity": "decimal",
        "unit_price": "decimal",
        "discount_percent": "decimal",
        "account_code": "text",
        "tax_code": "text",
        "net_minor": "minor",
        "tax_minor": "minor",
        "currency": "text",
    },
    "payment": {
        "payment_id": "text",
        "invoice_id": "text",
        "credit_memo_id": "text",
        "customer_id": "text",
        "date": "date",
        "amount_minor": "minor",
        "currency": "text",
        "exchange_rate": "decimal",
        "account_code": "text",
        "reference": "text",
        "status": "text",
        "standing": "text",
        "kind": "text",
        "modified_at": "instant",
    },
    "credit_memo": {
        "credit_memo_id": "text",
        "number": "text",
        "own_number": "text",  # ours, at most 21 characters, for a ledger whose credit notes need one
        "kind": "text",  # `credit` to a customer
        "customer_id": "text",
        "date": "date",
        "currency": "text",
        "status": "text",
        "standing": "text",
        "reference": "text",
        "subtotal_minor": "minor",
        "total_minor": "minor",
        "remaining_minor": "minor",
        "invoice_ids": "text",  # what it is set against, one a line
        "allocated_to": "text",  # the invoice of each allocation, one a line
        "allocated_amounts": "text",  # of each allocation, one a line
        "allocated_on": "text",  # YYYY-MM-DD of each allocation, one a line
        "modified_at": "instant",
    },
    # Money that came in before its invoice, or was more than it: what is left can be set against one, or paid back.
    "overpayment": {
        "overpayment_id": "text",
        "kind": "text",  # `received` from a customer
        "customer_id": "text",
        "date": "date",
        "currency": "text",
        "exchange_rate": "decimal",
        "status": "text",
        "standing": "text",
        "reference": "text",
        "total_minor": "minor",
        "remaining_minor": "minor",
        "allocated_to": "text",  # the invoice of each allocation, one a line
        "allocated_amounts": "text",  # of each allocation, one a line
        "allocated_on": "text",  # YYYY-MM-DD of each allocation, one a line
        "modified_at": "instant",
    },
    # Money that went back to a customer on a document of its own, without a credit note: nobody's balance changes.
    "cash_refund": {
        "cash_refund_id": "text",
        "number": "text",
        "customer_id": "text",
        "date": "date",
        "currency": "text",
        "exchange_rate": "decimal",
        "status": "text",
        "standing": "text",
        "reference": "text",
        "total_minor": "minor",
        "modified_at": "instant",
    },
    "exchange_rate": {
        "from_currency": "text",
        "to_currency": "text",
        "rate": "decimal",
        "date": "date",
        "modified_at": "instant",
    },
    "price": {
        "price_id": "text",
        "price_book_id": "text",
        "product_id": "text",
        "product_code": "text",
        "currency": "text",
        "unit_price": "decimal",
        "active": "boolean",
        "follows_standard": "boolean",
        "modified_at": "instant",
    },
    "currency": {"code": "text", "name": "text", "rate": "decimal", "is_base": "boolean", "active": "boolean"},
    "tax_rate": {"tax_code": "text", "name": "text", "rate_percent": "decimal", "status": "text"},
    # What the CRM shows of a customer's credit, in the customer's currency; finance owns all but name and parent.
    "credit": {
        "account_id": "text",
        "name": "text",
        "number": "text",
        "parent_id": "text",
        "currency": "text",
        "credit_limit_minor": "minor",
        "open_balance_minor": "minor",
        "overdue_minor": "minor",
        "available_minor": "minor",
        "credit_currency": "text",
        "credit_rates": "text",
        "credit_as_of": "instant",
        "modified_at": "instant",
    },
    # Lock dates: nothing may be dated on or before them.
    "organisation": {
        "organisation_id": "text",
        "name": "text",
        "base_currency": "text",
        "country": "text",
        "period_lock_date": "date",
        "year_lock_date": "date",
    },
}
ENTITIES["prepayment"] = {
    "prepayment_id" if name == "overpayment_id" else name: type_ for name, type_ in ENTITIES["overpayment"].items()
}
ENTITIES["opportunity"] = ENTITIES["order"]
# Only written: a credit note that is set against an invoice, and what takes a document out of the books.
ENTITIES["credit_application"] = {
    "credit_memo_id": "text",
    "invoice_id": "text",
    "customer_id": "text",
    "date": "date",
    "amount_minor": "minor",
    "currency": "text",
    "exchange_rate": "decimal",
}
# Only written, by ledgers where what is paid back of a credit note is a document of its own, set against it afterwards;
# elsewhere a refund is written as a `payment`.
ENTITIES["refund"] = {
    "own_number": "text",  # ours, at most 21 characters
    "credit_memo_id": "text",
    "customer_id": "text",
    "account_code": "text",
    "date": "date",
    "amount_minor": "minor",
    "currency": "text",
    "exchange_rate": "decimal",
    "reference": "text",
}
ENTITIES["refund_application"] = {
    "refund_id" if name == "invoice_id" else name: type_ for name, type_ in ENTITIES["credit_application"].items()
}
for _entity in ("invoice", "credit_memo", "payment"):
    ENTITIES[f"{_entity}_void"] = {f"{_entity}_id": "text", "standing": "text"}
# What the CRM shows of the ledger's document on its own record, as it stands there: written back by us, or typed over
# by somebody. Entities of their own, since an echo is no change of the record that it stands on.
ENTITIES["order_status"] = {
    "order_id": "text",
    "currency": "text",
    "invoice_id": "text",
    "invoice_number": "text",
    "invoice_status": "text",
    "invoice_total_minor": "minor",
    "invoice_due_minor": "minor",
    "invoice_paid_minor": "minor",
    "invoice_paid_on": "date",
    "refunded_minor": "minor",
    "refunded_on": "date",
    "modified_at": "instant",
}
ENTITIES["opportunity_status"] = ENTITIES["order_status"]
ENTITIES["return_order_status"] = {
    "return_id": "text",
    "currency": "text",
    "credit_id": "text",
    "credit_number": "text",
    "credit_status": "text",
    "credit_total_minor": "minor",
    "credit_open_minor": "minor",
    "modified_at": "instant",
}
ENTITIES["quote_line"] = ENTITIES["opportunity_line"] = ENTITIES["order_line"]
# An invoice as the CRM shows it; account_id is the CRM's.
ENTITIES["ledger_invoice"] = {**ENTITIES["invoice"], "account_id": "text", "record_id": "text"}

# What is written back onto a record of the CRM, beside the columns of its own entity.
WRITE_BACK: dict[str, dict[str, str]] = {
    "account": {"ledger_number": "text"},
    "order": {
        "invoice_id": "text",
        "invoice_number": "text",
        "invoice_status": "text",
        "invoice_total_minor": "minor",
        "invoice_due_minor": "minor",
        "invoice_paid_minor": "minor",
        "invoice_paid_on": "date",
        "refunded_minor": "minor",
        "refunded_on": "date",
        "message": "text",
    },
}
WRITE_BACK["opportunity"] = WRITE_BACK["order"]
WRITE_BACK["return_order"] = {
    "credit_id": "text",
    "credit_number": "text",
    "credit_status": "text",
    "credit_total_minor": "minor",
    "credit_open_minor": "minor",
    "message": "text",
}
WRITE_BACK["quote"] = {"price_outdated": "boolean", "price_message": "text"}
