"""What HubSpot's objects have and take. A text of a property may be very long whatever it is; properties of our own are
those of include/crm_setup/hubspot.json.
"""

from __future__ import annotations

from tieout.mapping.limits.fields import Limit, computed, numbers, plain, texts

TEXT = 65_536  # characters of a single-line or multi-line text
_FOREIGN_PER_BASE = Limit(rate="foreign_per_base", precision=6)


def _of(limits: dict[str, Limit]) -> dict[str, Limit]:
    return {f"properties.{name}": limit for name, limit in limits.items()}


def _texts(*names: str) -> dict[str, Limit]:
    return _of(texts(TEXT, *names))


_SYSTEM = {
    **plain("id"),
    **computed("createdAt", "updatedAt", "archived", "archivedAt", "url"),
    **computed("stage.id", "stage.label", "stage.won", "stage.closed"),
    **_of(computed("hs_object_id", "hs_lastmodifieddate", "createdate", "hs_createdate", "hs_merged_object_ids")),
    **_texts("tieout_source_key"),
}
_WRITE_BACK = {
    **_texts("tieout_invoice_id", "tieout_invoice_number", "tieout_invoice_status", "tieout_message"),
    **_of(numbers(3, "tieout_invoice_total", "tieout_amount_due", "tieout_amount_paid", "tieout_refunded")),
    **_of(plain("tieout_paid_on", "tieout_refunded_on")),
    "properties.tieout_exchange_rate": _FOREIGN_PER_BASE,
}
_LINE = {
    **_SYSTEM,
    **_of(plain("hs_product_id", "hs_position_on_quote", "hs_line_item_currency_code", "hs_tax_rate_group_id")),
    **_of(plain("tieout_service_date", "tieout_position")),
    **_texts("name", "description", "hs_sku", "tieout_tax_code", "tieout_quote_line_id", "tieout_order_line_id"),
    **_texts("tieout_return_reason", "tieout_processing_plan"),
    **_of(numbers(6, "quantity", "price", "discount", "hs_discount_percentage", "tieout_list_price")),
    **_of(computed("amount", "hs_tax_amount", "hs_total_discount")),
    **plain("associations.orders", "associations.deals", "associations.quotes", "associations.tickets"),
    **plain("associations.returns", "associations.parent"),
}
_RETURN = {
    **_SYSTEM,
    **plain("object", "associations.orders", "associations.companies"),
    **_of(plain("hs_pipeline", "hs_pipeline_stage", "tieout_stage")),
    **_texts("subject", "content", "tieout_return_name", "tieout_currency", "tieout_credit_id", "tieout_credit_number"),
    **_texts("tieout_credit_status", "tieout_message"),
    **_of(numbers(3, "tieout_restocking_fee", "tieout_credit_total", "tieout_credit_open")),
}

LIMITS: dict[str, dict[str, Limit]] = {
    "companies": {
        **_SYSTEM,
        **_texts("name", "domain", "phone", "address", "address2", "city", "state", "zip", "country"),
        **_texts("tieout_account_number", "tieout_tax_id", "tieout_currency", "tieout_ledger_id"),
        **_texts("tieout_ledger_number", "tieout_credit_currency", "tieout_credit_rates"),
        **_of(plain("tieout_is_person", "tieout_credit_as_of", "hs_parent_company_id")),
        **_of(numbers(3, "tieout_credit_limit", "tieout_open_balance", "tieout_overdue_amount",
                      "tieout_available_credit")),
    },
    "contacts": {
        **_SYSTEM,
        **_of(computed("lastmodifieddate")),
        **_texts("firstname", "lastname", "email", "phone"),
        **plain("associations.companies"),
    },
    "deals": {
        **_SYSTEM, **_WRITE_BACK,
        **_texts("dealname", "tieout_product_code"),
        **_of(plain("dealstage", "pipeline", "closedate", "deal_currency_code")),
        **_of(numbers(3, "amount", "tieout_freight", "tieout_expected_tax")),
        **_of(computed("hs_is_closed_won", "hs_is_closed")),
        **plain("associations.companies", "associations.quotes"),
    },
    "orders": {
        **_SYSTEM, **_WRITE_BACK,
        **_texts("hs_order_name", "hs_external_order_id", "hs_external_order_status", "tieout_po_number"),
        **_of(plain("hs_pipeline", "hs_pipeline_stage", "hs_currency_code", "hs_external_created_date")),
        **_of(plain("tieout_order_date")),
        **_of(numbers(3, "hs_subtotal_price", "hs_total_price", "hs_shipping_cost", "hs_tax", "hs_order_discount")),
        **plain("associations.companies", "associations.deals", "associations.quotes"),
    },
    "quotes": {
        **_SYSTEM,
        **_texts("hs_title", "hs_quote_number", "tieout_price_message"),
        **_of(plain("hs_status", "hs_currency", "hs_expiration_date", "tieout_decision", "tieout_price_outdated")),
        **_of(numbers(3, "tieout_freight", "tieout_expected_tax")),
        **_of(computed("hs_quote_amount")),
        **plain("associations.deals"),
    },
    "products": {
        **_SYSTEM,
        **_texts("name", "description", "hs_sku", "tieout_tax_code", "tieout_item_id", "tieout_quantity_prices"),
        **_of(plain("tieout_active")),
        **_of(numbers(6, "price", "tieout_stock")),
    },
    "line_items of orders": _LINE,
    "line_items of deals": _LINE,
    "line_items of quotes": _LINE,
    "line_items of tickets": _LINE,
    "return_lines of returns": _LINE,
    "tickets in pipeline returns": _RETURN,
    "returns": _RETURN,
    "ledger_invoices": {
        **_SYSTEM,
        **_of(texts(TEXT, "tieout_ledger_invoice_id", required=True)),
        **_texts("tieout_number", "tieout_kind", "tieout_status", "tieout_currency"),
        **_of(plain("tieout_invoice_date", "tieout_due_date", "tieout_paid_on")),
        **_of(numbers(3, "tieout_total", "tieout_amount_due", "tieout_amount_paid")),
        **plain("associations.companies"),
    },
    # What the connector makes of products and settings.
    "product_prices": {
        **plain("id", "product_id", "currency", "active"), **numbers(6, "unit_price"),
        **computed("price_book_id", "product_code", "updatedAt"),
    },
    "price_books": plain("id", "name", "is_standard", "active"),
    "currencies": {
        **plain("id", "code", "is_base", "active"), "rate": Limit(rate="base_per_foreign", precision=6),
    },
    "exchange_rates": {
        **plain("id", "currency", "base_currency", "start_date", "updatedAt"),
        "rate": Limit(rate="base_per_foreign", precision=6),
    },
}  # fmt: skip
