"""The properties that Tieout needs in a portal, as data for `findings`; include/crm_setup/hubspot.json makes them.

Returns are not among them: not every portal has them. The link's doctor asks where they are used.
"""

from __future__ import annotations

from tieout.connectors.requirements import FieldNeed, Required

_READ = FieldNeed()
_TEXT = FieldNeed("string", writable=True)
_NUMBER = FieldNeed("number", writable=True)
_DATE = FieldNeed("date", writable=True)

_WRITE_BACK = {
    "tieout_invoice_id": _TEXT, "tieout_invoice_number": _TEXT, "tieout_invoice_status": _TEXT,
    "tieout_invoice_total": _NUMBER, "tieout_amount_due": _NUMBER, "tieout_amount_paid": _NUMBER,
    "tieout_paid_on": _DATE, "tieout_refunded": _NUMBER, "tieout_refunded_on": _DATE, "tieout_message": _TEXT,
    "tieout_exchange_rate": FieldNeed("number"),
}  # fmt: skip

STANDARD = Required(
    fields={
        "companies": {
            "name": _READ, "tieout_account_number": _READ, "tieout_tax_id": _TEXT,
            "tieout_is_person": FieldNeed("bool"), "tieout_currency": _READ,
            "tieout_ledger_id": FieldNeed("string", unique=True, writable=True),
            "tieout_ledger_number": _TEXT, "tieout_credit_limit": _NUMBER, "tieout_open_balance": _NUMBER,
            "tieout_overdue_amount": _NUMBER, "tieout_available_credit": _NUMBER, "tieout_credit_currency": _TEXT,
            "tieout_credit_rates": _TEXT, "tieout_credit_as_of": FieldNeed("datetime", writable=True),
        },
        "contacts": {"email": _READ},
        "products": {
            "name": FieldNeed(writable=True), "hs_sku": FieldNeed(writable=True), "price": FieldNeed(writable=True),
            "description": FieldNeed(writable=True), "tieout_tax_code": _READ,
            "tieout_item_id": FieldNeed("string", unique=True, writable=True),
            "tieout_active": FieldNeed("bool", writable=True), "tieout_stock": _NUMBER, "tieout_quantity_prices": _TEXT,
        },
        "orders": {
            "hs_order_name": _READ, "hs_currency_code": _READ, "hs_pipeline_stage": _READ,
            "tieout_order_date": FieldNeed("date"), "tieout_po_number": _READ, **_WRITE_BACK,
        },
        "deals": {
            "dealname": _READ, "deal_currency_code": _READ, "tieout_freight": FieldNeed("number"),
            "tieout_expected_tax": FieldNeed("number"), "tieout_product_code": _READ, **_WRITE_BACK,
        },
        "quotes": {
            "hs_status": _READ, "tieout_decision": FieldNeed("enumeration"), "tieout_freight": FieldNeed("number"),
            "tieout_expected_tax": FieldNeed("number"), "tieout_price_outdated": FieldNeed("bool", writable=True),
            "tieout_price_message": _TEXT,
        },
        "line_items": {
            "quantity": _READ, "price": _READ, "hs_sku": _READ, "tieout_tax_code": _READ,
            "tieout_service_date": FieldNeed("date"), "tieout_quote_line_id": _READ,
        },
        "ledger_invoices": {
            "tieout_ledger_invoice_id": FieldNeed("string", unique=True, writable=True), "tieout_number": _TEXT,
            "tieout_kind": _TEXT, "tieout_status": _TEXT, "tieout_currency": _TEXT, "tieout_total": _NUMBER,
            "tieout_amount_due": _NUMBER, "tieout_amount_paid": _NUMBER, "tieout_invoice_date": _DATE,
            "tieout_due_date": _DATE, "tieout_paid_on": _DATE,
        },
    },
    create=frozenset({"ledger_invoices", "products"}),
)  # fmt: skip
