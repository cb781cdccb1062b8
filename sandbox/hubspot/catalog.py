"""The standard objects: names, type ids, properties, association types. Rows of a table, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Property = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One kind of record. `modified` is the property that says when it was changed last."""

    id: str
    name: str  # plural, as in paths
    singular: str
    label: str  # in messages
    group: str
    default_properties: tuple[str, ...]
    required: tuple[str, ...] = ()
    modified: str = "hs_lastmodifieddate"
    pipeline: str = ""  # property that names the pipeline
    stage: str = ""
    custom: bool = False


STANDARD = (
    ObjectType("0-1", "contacts", "contact", "CONTACT", "contactinformation", ("firstname", "lastname", "email"),
               modified="lastmodifieddate"),
    ObjectType("0-2", "companies", "company", "COMPANY", "companyinformation", ("name", "domain")),
    ObjectType("0-3", "deals", "deal", "DEAL", "dealinformation",
               ("dealname", "amount", "closedate", "pipeline", "dealstage"), pipeline="pipeline", stage="dealstage"),
    ObjectType("0-5", "tickets", "ticket", "TICKET", "ticketinformation",
               ("subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_category", "hs_ticket_priority"),
               required=("hs_pipeline_stage",), pipeline="hs_pipeline", stage="hs_pipeline_stage"),
    ObjectType("0-7", "products", "product", "PRODUCT", "productinformation", ("name", "description", "price")),
    ObjectType("0-8", "line_items", "line_item", "LINE_ITEM", "lineiteminformation", ("quantity", "amount", "price")),
    ObjectType("0-14", "quotes", "quote", "QUOTE", "quoteinformation",
               ("hs_title", "hs_expiration_date", "hs_status"), required=("hs_title", "hs_expiration_date")),
    ObjectType("0-123", "orders", "order", "ORDER", "orderinformation", ("hs_order_name",),
               pipeline="hs_pipeline", stage="hs_pipeline_stage"),
)  # fmt: skip

# name:type, type string when left out; `!` is read only, `*` is unique, `=a|b` the options of an enumeration.
_COMMON = (
    "hs_object_id:number! createdate:datetime! hs_createdate:datetime! hubspot_owner_id:owner hs_merged_object_ids!"
)
_ROWS = {
    "companies": "name domain phone address address2 city state zip country website industry description "
    "numberofemployees:number annualrevenue:number lifecyclestage=lead|opportunity|customer|other "
    "hs_parent_company_id:number type=PROSPECT|PARTNER|RESELLER|VENDOR|OTHER hs_country_code",
    "contacts": "email* firstname lastname phone mobilephone company address city state zip country website jobtitle "
    "lifecyclestage=lead|opportunity|customer|other associatedcompanyid:number hs_language",
    "deals": "dealname amount:number closedate:datetime pipeline dealstage description deal_currency_code "
    "dealtype=newbusiness|existingbusiness hs_is_closed:bool! hs_is_closed_won:bool! hs_is_closed_lost:bool! "
    "hs_deal_stage_probability:number! amount_in_home_currency:number! hs_exchange_rate:number! hs_priority",
    "tickets": "subject content hs_pipeline hs_pipeline_stage hs_ticket_category "
    "hs_ticket_priority=LOW|MEDIUM|HIGH|URGENT closed_date:datetime! source_type hs_is_closed:bool!",
    "products": "name description price:number hs_sku hs_cost_of_goods_sold:number recurringbillingfrequency "
    "hs_recurring_billing_period tax:number hs_status hs_price_usd:number hs_price_gbp:number hs_price_eur:number "
    "hs_active:bool hs_product_type=inventory|non_inventory|service",
    "line_items": "name description price:number quantity:number discount:number hs_discount_percentage:number "
    "amount:number! hs_total_discount:number! hs_pre_discount_amount:number! hs_sku hs_product_id:number "
    "hs_line_item_currency_code tax:number hs_tax_amount:number hs_tax_rate:number hs_post_tax_amount:number "
    "hs_cost_of_goods_sold:number recurringbillingfrequency hs_recurring_billing_period "
    "hs_recurring_billing_start_date:date hs_position_on_quote:number hs_external_id hs_variant_id:number",
    "quotes": "hs_title hs_expiration_date:datetime hs_quote_amount:number hs_currency hs_language "
    "hs_status=DRAFT|APPROVAL_NOT_NEEDED|PENDING_APPROVAL|APPROVED|REJECTED hs_quote_number hs_public_url_key "
    "hs_terms hs_comments hs_sender_firstname hs_sender_lastname hs_sender_email hs_sender_company_name "
    "hs_payment_status hs_esign_enabled:bool hs_domain",
    "orders": "hs_order_name hs_external_order_id hs_external_order_status hs_external_order_url hs_source_store "
    "hs_currency_code hs_pipeline hs_pipeline_stage hs_fulfillment_status hs_tags hs_total_price:number "
    "hs_subtotal_price:number hs_order_discount:number hs_tax:number hs_shipping_cost:number "
    "hs_external_created_date:datetime hs_processed_date:datetime hs_cancelled_date:datetime "
    "hs_shipping_tracking_number hs_order_note hs_payment_processing_method hs_billing_address_name "
    "hs_billing_address_email hs_billing_address_phone hs_billing_address_street hs_billing_address_city "
    "hs_billing_address_state hs_billing_address_postal_code hs_billing_address_country "
    "hs_shipping_address_name hs_shipping_address_phone hs_shipping_address_street hs_shipping_address_city "
    "hs_shipping_address_state hs_shipping_address_postal_code hs_shipping_address_country hs_refund_amount:number",
}  # fmt: skip
_FIELD_TYPES = {"number": "number", "date": "date", "datetime": "date", "bool": "booleancheckbox", "string": "text",
                "enumeration": "select"}  # fmt: skip


def properties_of(kind: ObjectType) -> list[Property]:
    """The properties that a new portal has for a type; for a custom object those that each has."""
    rows = f"{_COMMON} {kind.modified}:datetime! {_ROWS.get(kind.name, '')}"
    return [_property(row, kind.group) for row in rows.split()]


def _property(row: str, group: str) -> Property:
    row, _, options = row.partition("=")
    read_only, unique = row.endswith("!"), row.endswith("*")
    name, _, type_ = row.rstrip("!*").partition(":")
    type_ = type_ or ("enumeration" if options else "string")
    owner = type_ == "owner"
    type_ = "enumeration" if owner else type_
    return {
        "name": name,
        "label": name.removeprefix("hs_").replace("_", " ").capitalize(),
        "type": type_,
        "fieldType": _FIELD_TYPES[type_],
        "description": "",
        "groupName": group,
        "options": [] if owner else options_of(options.split("|") if options else []),
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": owner,
        "hasUniqueValue": unique,
        "hidden": False,
        "hubspotDefined": True,
        "formField": not read_only,
        "modificationMetadata": {
            "archivable": False,
            "readOnlyDefinition": True,
            "readOnlyValue": read_only,
        },
        "archived": False,
    }


def options_of(values: list[str]) -> list[dict[str, Any]]:
    return [
        {"label": value.replace("_", " ").capitalize(), "value": value, "displayOrder": place, "hidden": False}
        for place, value in enumerate(values)
    ]


# (from, to): (unlabelled, primary or 0), with the way back. Those that are not here get ids from 1001 on.
ASSOCIATIONS = {
    ("contacts", "companies"): (279, 1),
    ("companies", "contacts"): (280, 2),
    ("deals", "contacts"): (3, 0),
    ("contacts", "deals"): (4, 0),
    ("deals", "companies"): (341, 5),
    ("companies", "deals"): (342, 6),
    ("companies", "companies"): (450, 0),
    ("contacts", "contacts"): (449, 0),
    ("deals", "deals"): (451, 0),
    ("tickets", "tickets"): (452, 0),
    ("contacts", "tickets"): (15, 0),
    ("tickets", "contacts"): (16, 0),
    ("companies", "tickets"): (340, 25),
    ("tickets", "companies"): (339, 26),
    ("deals", "line_items"): (19, 0),
    ("line_items", "deals"): (20, 0),
    ("deals", "tickets"): (27, 0),
    ("tickets", "deals"): (28, 0),
    ("deals", "quotes"): (63, 0),
    ("quotes", "deals"): (64, 0),
    ("quotes", "line_items"): (67, 0),
    ("line_items", "quotes"): (68, 0),
    ("quotes", "contacts"): (69, 0),
    ("contacts", "quotes"): (70, 0),
    ("quotes", "companies"): (71, 0),
    ("companies", "quotes"): (72, 0),
    ("orders", "contacts"): (507, 0),
    ("contacts", "orders"): (508, 0),
    ("orders", "companies"): (509, 0),
    ("companies", "orders"): (510, 0),
    ("deals", "orders"): (511, 0),
    ("orders", "deals"): (512, 0),
    ("orders", "line_items"): (513, 0),
    ("line_items", "orders"): (514, 0),
}
