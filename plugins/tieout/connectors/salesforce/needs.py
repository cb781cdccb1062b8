"""The objects and custom fields that Tieout needs in an organisation (docs/architecture.md), as data for `findings`.

Return orders are not among them: not every organisation has them. The link's doctor asks where they are used.
"""

from __future__ import annotations

from tieout.connectors.requirements import FieldNeed, Required

_READ = FieldNeed()


def _text(length: int, *, unique: bool = False, writable: bool = False) -> FieldNeed:
    return FieldNeed("string", length, unique, writable)


_WRITE_BACK = {
    "Tieout_Invoice_Id__c": _text(36, writable=True),
    "Tieout_Invoice_Number__c": _text(255, writable=True),
    "Tieout_Invoice_Status__c": _text(40, writable=True),
    "Tieout_Invoice_Total__c": FieldNeed("currency", writable=True),
    "Tieout_Amount_Due__c": FieldNeed("currency", writable=True),
    "Tieout_Amount_Paid__c": FieldNeed("currency", writable=True),
    "Tieout_Paid_On__c": FieldNeed("date", writable=True),
    "Tieout_Refunded__c": FieldNeed("currency", writable=True),
    "Tieout_Refunded_On__c": FieldNeed("date", writable=True),
    "Tieout_Message__c": _text(255, writable=True),
}
_CREDIT = {
    "Tieout_Credit_Limit__c": FieldNeed("double", writable=True),
    "Tieout_Open_Balance__c": FieldNeed("double", writable=True),
    "Tieout_Overdue_Amount__c": FieldNeed("double", writable=True),
    "Tieout_Available_Credit__c": FieldNeed("double", writable=True),
    "Tieout_Credit_Currency__c": _text(3, writable=True),
    "Tieout_Credit_Rates__c": _text(255, writable=True),
    "Tieout_Credit_As_Of__c": FieldNeed("datetime", writable=True),
}
_DOCUMENT = {
    "Freight__c": FieldNeed("currency"),
    "Expected_Tax__c": FieldNeed("currency"),
    "Exchange_Rate__c": FieldNeed("double"),
}

STANDARD = Required(
    fields={
        "Account": {
            "Name": _READ,
            "Tax_Id__c": _text(40),
            "Is_Person__c": FieldNeed("boolean"),
            "Tieout_Ledger_Id__c": _text(36, unique=True, writable=True),
            "Tieout_Ledger_Number__c": _text(50, writable=True),
            **_CREDIT,
        },
        "Contact": {"Email": _READ},
        "Product2": {
            "Name": FieldNeed(writable=True),
            "ProductCode": FieldNeed(writable=True),
            "Description": FieldNeed(writable=True),
            "IsActive": FieldNeed(writable=True),
            "Tax_Code__c": _text(40),
            "Tieout_Item_Id__c": _text(36, unique=True, writable=True),
            "Tieout_Stock__c": FieldNeed("double", writable=True),
            "Tieout_Quantity_Prices__c": FieldNeed("textarea", writable=True),
        },
        "PricebookEntry": {"UnitPrice": FieldNeed(writable=True), "IsActive": FieldNeed(writable=True)},
        "Order": {"OrderNumber": _READ, **_DOCUMENT, **_WRITE_BACK},
        "OrderItem": {"UnitPrice": _READ, "Discount_Percent__c": FieldNeed("percent"), "Tax_Code__c": _text(40)},
        "Opportunity": {"Amount": _READ, "Product_Code__c": _text(80), **_DOCUMENT, **_WRITE_BACK},
        "OpportunityLineItem": {"UnitPrice": _READ, "Tax_Code__c": _text(40)},
        "Quote": {
            "ShippingHandling": _READ,
            "Tax": _READ,
            "Tieout_Price_Outdated__c": FieldNeed("boolean", writable=True),
            "Tieout_Price_Message__c": _text(255, writable=True),
        },
        "QuoteLineItem": {"UnitPrice": _READ, "Tax_Code__c": _text(40)},
        "Ledger_Invoice__c": {
            "Ledger_Invoice_Id__c": _text(36, unique=True, writable=True),
            "Account__c": FieldNeed("reference", writable=True),
            "Number__c": FieldNeed("string", writable=True),
            "Kind__c": FieldNeed(writable=True),
            "Status__c": FieldNeed(writable=True),
            "CurrencyIsoCode": FieldNeed(writable=True),
            "Total__c": FieldNeed("currency", writable=True),
            "Amount_Due__c": FieldNeed("currency", writable=True),
            "Amount_Paid__c": FieldNeed("currency", writable=True),
            "Invoice_Date__c": FieldNeed("date", writable=True),
            "Due_Date__c": FieldNeed("date", writable=True),
            "Paid_On__c": FieldNeed("date", writable=True),
        },
    },
    create=frozenset({"Ledger_Invoice__c", "Product2", "PricebookEntry"}),
)
