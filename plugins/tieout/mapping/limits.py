"""What each vendor's objects have and take: names, lengths, decimals, directions. Data only; lint.py uses it.

Sources: Xero's OpenAPI description (maxLength, required), its developer pages for the currency rate (foreign per base)
and four decimals of UnitAmount with unitdp=4; Salesforce's object reference for lengths of standard fields. Lengths of
Reference (255), LineItem Description (4000) and TaxType (50) of Xero are as its validation messages give them, not in
the description. Custom fields are those of docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["foreign_per_base", "base_per_foreign"]


@dataclass(frozen=True, slots=True)
class Limit:
    """What one native field takes; None where the vendor states nothing.

    Attributes:
        length: greatest number of UTF-16 units of a text.
        precision: greatest number of decimals of a number.
        rate: it is an exchange rate of this direction.
        required: a new document needs it.
        read_only: the vendor computes it; writing it is ignored or refused.
    """

    length: int | None = None
    precision: int | None = None
    rate: Direction | None = None
    required: bool = False
    read_only: bool = False


def _texts(length: int, *names: str, required: bool = False) -> dict[str, Limit]:
    return {name: Limit(length=length, required=required) for name in names}


def _plain(*names: str, required: bool = False) -> dict[str, Limit]:
    return {name: Limit(required=required) for name in names}


def _computed(*names: str) -> dict[str, Limit]:
    return {name: Limit(read_only=True) for name in names}


def _numbers(precision: int, *names: str) -> dict[str, Limit]:
    return {name: Limit(precision=precision) for name in names}


_FOREIGN_PER_BASE = Limit(rate="foreign_per_base", precision=6)

_ADDRESS = {
    **_plain("AddressType"),
    **_texts(500, "AddressLine1", "AddressLine2", "AddressLine3", "AddressLine4"),
    **_texts(255, "City", "Region", "AttentionTo"),
    **_texts(50, "PostalCode", "Country"),
}
_PHONE = {
    **_plain("PhoneType"),
    **_texts(50, "PhoneNumber"),
    **_texts(10, "PhoneAreaCode"),
    **_texts(20, "PhoneCountryCode"),
}
_XERO_DOCUMENT = {
    **_plain(
        "Status", "Date", "DueDate", "CurrencyCode", "LineItems", "BrandingThemeID", "SentToContact", "Allocations"
    ),
    **_plain("Type", "Contact.ContactID", "LineAmountTypes", required=True),
    **_texts(255, "Reference"),
    "CurrencyRate": _FOREIGN_PER_BASE,
    **_computed("SubTotal", "TotalTax", "Total", "UpdatedDateUTC", "FullyPaidOnDate", "HasAttachments", "Payments"),
}

XERO: dict[str, dict[str, Limit]] = {
    "Contacts": {
        **_plain("ContactID", "ContactStatus", "DefaultCurrency", "Addresses", "Phones", "IsCustomer", "IsSupplier"),
        **_texts(50, "ContactNumber", "AccountNumber", "TaxNumber", "CompanyNumber"),
        **_texts(255, "Name", required=True),
        **_texts(255, "FirstName", "LastName", "EmailAddress"),
        **{f"Addresses[].{name}": limit for name, limit in _ADDRESS.items()},
        **{f"Phones[].{name}": limit for name, limit in _PHONE.items()},
        **_computed("UpdatedDateUTC", "MergedToContactID", "Website", "Balances"),
    },
    "Items": {
        **_plain("ItemID", "IsSold", "IsPurchased", "SalesDetails.AccountCode", "SalesDetails.TaxType"),
        **_computed("IsTrackedAsInventory"),
        **_texts(30, "Code", required=True),
        **_texts(50, "Name"),
        **_texts(4000, "Description"),
        **_numbers(4, "SalesDetails.UnitPrice"),
        **_computed("UpdatedDateUTC", "QuantityOnHand", "TotalCostPool"),
    },
    "Invoices": {
        **_XERO_DOCUMENT,
        **_plain("InvoiceID", "Url", "ExpectedPaymentDate", "PlannedPaymentDate"),
        **_texts(255, "InvoiceNumber"),
        **_computed("AmountDue", "AmountPaid", "AmountCredited", "TotalDiscount"),
        **_computed("CreditNotes", "Prepayments", "Overpayments"),
    },
    "CreditNotes": {
        **_XERO_DOCUMENT,
        **_plain("CreditNoteID"),
        **_texts(255, "CreditNoteNumber"),
        **_computed("RemainingCredit", "AppliedAmount"),
    },
    "LineItems": {
        **_plain("LineItemID", "AccountID", "Tracking"),
        **_texts(4000, "Description", required=True),
        **_numbers(4, "Quantity", "UnitAmount", "DiscountRate"),
        **_numbers(2, "LineAmount", "TaxAmount", "DiscountAmount"),
        **_texts(10, "AccountCode"),
        **_texts(30, "ItemCode"),
        **_texts(50, "TaxType"),
    },
    "Payments": {
        **_plain(
            "PaymentID", "PaymentType", "Status", "Invoice.InvoiceID", "Invoice.CurrencyCode",
            "CreditNote.CreditNoteID", "CreditNote.CurrencyCode", "Account.Code", "Date", "Reference", "IsReconciled",
        ),
        **_numbers(2, "Amount"),
        "CurrencyRate": _FOREIGN_PER_BASE,
        **_computed("UpdatedDateUTC", "BankAmount"),
    },
    "Overpayments": {**_XERO_DOCUMENT, **_plain("OverpaymentID"), **_computed("RemainingCredit", "AppliedAmount")},
    "Prepayments": {**_XERO_DOCUMENT, **_plain("PrepaymentID"), **_computed("RemainingCredit", "AppliedAmount")},
    "TaxRates": _plain(
        "TaxType", "Name", "EffectiveRate", "DisplayTaxRate", "Status", "TaxComponents", "ReportTaxType",
    ),
    "Currencies": _plain("Code", "Description"),
    "Organisation": _plain(
        "OrganisationID", "Name", "LegalName", "BaseCurrency", "CountryCode", "PeriodLockDate", "EndOfYearLockDate",
        "Timezone", "ShortCode", "TaxNumber",
    ),
}  # fmt: skip

_SYSTEM = {
    **_plain("Id", "CurrencyIsoCode"),
    **_computed("SystemModstamp", "CreatedDate", "LastModifiedDate", "IsDeleted"),
}
_WRITE_BACK = {
    **_texts(36, "Tieout_Invoice_Id__c"),
    **_texts(255, "Tieout_Invoice_Number__c", "Tieout_Message__c"),
    **_texts(40, "Tieout_Invoice_Status__c"),
    **_numbers(2, "Tieout_Invoice_Total__c", "Tieout_Amount_Due__c", "Tieout_Amount_Paid__c", "Tieout_Refunded__c"),
    **_plain("Tieout_Paid_On__c", "Tieout_Refunded_On__c"),
}
_LINE = {
    **_SYSTEM,
    **_plain("Product2Id", "PricebookEntryId", "ServiceDate", "Product2.Name", "Product2.ProductCode"),
    **_plain("Product2.Tax_Code__c"),
    **_texts(255, "Description"),
    **_texts(40, "Tax_Code__c"),
    **_numbers(2, "Quantity", "Discount"),
    **_numbers(6, "UnitPrice"),
    **_computed("ListPrice", "TotalPrice", "Subtotal"),
}
_BILLED = {**_numbers(2, "Freight__c", "Expected_Tax__c"), "Exchange_Rate__c": _FOREIGN_PER_BASE}
_BILLING = {
    **_texts(255, "BillingStreet"),
    **_texts(40, "BillingCity"),
    **_texts(80, "BillingState", "BillingCountry"),
    **_texts(20, "BillingPostalCode"),
}

SALESFORCE: dict[str, dict[str, Limit]] = {
    "Account": {
        **_texts(3, "Tieout_Credit_Currency__c"), **_texts(255, "Tieout_Credit_Rates__c"),
        **_plain("Tieout_Credit_As_Of__c"),
        **_numbers(3, "Tieout_Credit_Limit__c", "Tieout_Open_Balance__c", "Tieout_Overdue_Amount__c",
                   "Tieout_Available_Credit__c"),
        **_SYSTEM,
        **_BILLING,
        **_texts(255, "Name", required=True),
        **_texts(40, "AccountNumber", "Phone", "Tax_Id__c"),
        **_texts(36, "Tieout_Ledger_Id__c"),
        **_texts(50, "Tieout_Ledger_Number__c"),
        **_plain("Is_Person__c", "ParentId", "Website"),
        **_computed("MasterRecordId"),
    },
    "Contact": {
        **_SYSTEM,
        **_texts(80, "LastName", "Email", required=False),
        **_texts(40, "FirstName", "Phone"),
        **_plain("AccountId"),
        **_computed("Name", "MasterRecordId"),
    },
    "Product2": {
        **_SYSTEM, **_texts(255, "Name", "ProductCode"), **_texts(40, "Tax_Code__c"), **_plain("IsActive"),
        **_texts(4000, "Description"), **_texts(36, "Tieout_Item_Id__c"), **_texts(32000, "Tieout_Quantity_Prices__c"),
        **_numbers(4, "Tieout_Stock__c"),
    },
    "Pricebook2": {**_SYSTEM, **_texts(255, "Name", "Description"), **_plain("IsActive"), **_computed("IsStandard")},
    "PricebookEntry": {
        **_SYSTEM, **_numbers(6, "UnitPrice"),
        **_plain("Product2Id", "Pricebook2Id", "IsActive", "UseStandardPrice", "Product2.ProductCode"),
    },
    "Order": {
        **_SYSTEM, **_WRITE_BACK, **_BILLED,
        **_plain("AccountId", "OpportunityId", "QuoteId", "Status", "EffectiveDate", "BillToContactId", "Account.Name"),
        **_texts(80, "PoNumber", "Name", "OrderReferenceNumber"),
        **_computed("OrderNumber", "TotalAmount", "StatusCode", "ActivatedDate"),
    },
    "Opportunity": {
        **_SYSTEM, **_WRITE_BACK, **_BILLED,
        **_plain("AccountId", "SyncedQuoteId", "StageName", "CloseDate", "Account.Name"),
        **_texts(120, "Name"),
        **_texts(80, "Product_Code__c"),
        **_numbers(2, "Amount"),
        **_computed("IsWon", "IsClosed"),
    },
    "OrderItem": {
        **_LINE, **_numbers(2, "Discount_Percent__c"), **_plain("OrderId", "QuoteLineItemId", "OrderItemNumber"),
    },
    "OpportunityLineItem": {**_LINE, **_plain("OpportunityId", "SortOrder", "ProductCode", "Name")},
    "QuoteLineItem": {**_LINE, **_plain("QuoteId", "LineNumber", "SortOrder", "OpportunityLineItemId")},
    "Quote": {
        **_SYSTEM,
        **_plain("OpportunityId", "AccountId", "Status", "Tieout_Price_Outdated__c"),
        **_texts(255, "Name", "Tieout_Price_Message__c"),
        **_numbers(2, "ShippingHandling", "Tax"),
        **_computed("QuoteNumber", "Subtotal", "TotalPrice", "GrandTotal", "Discount"),
    },
    "ReturnOrder": {
        **_SYSTEM,
        **_plain("OrderId", "AccountId", "Status"),
        **_computed("ReturnOrderNumber"),
        **_numbers(2, "Restocking_Fee__c", "Tieout_Credit_Total__c", "Tieout_Credit_Open__c"),
        **_texts(36, "Tieout_Credit_Id__c"),
        **_texts(40, "Tieout_Credit_Status__c"),
        **_texts(255, "Tieout_Credit_Number__c", "Tieout_Message__c"),
    },
    "ReturnOrderLineItem": {
        **_SYSTEM,
        **_plain("ReturnOrderId", "OrderItemId", "ReasonForReturn", "ProcessingPlan"),
        **_numbers(2, "QuantityReturned", "UnitPrice"),
        **_computed("ReturnOrderLineItemNumber"),
    },
    "CurrencyType": {
        **_SYSTEM, **_plain("IsoCode", "DecimalPlaces", "IsActive", "IsCorporate"), "ConversionRate": _FOREIGN_PER_BASE,
    },
    "DatedConversionRate": {
        **_SYSTEM, **_plain("IsoCode", "StartDate", "NextStartDate"), "ConversionRate": _FOREIGN_PER_BASE,
    },
    "Ledger_Invoice__c": {
        **_SYSTEM,
        **_texts(36, "Ledger_Invoice_Id__c", required=True),
        **_plain("Account__c", "Invoice_Date__c", "Due_Date__c", "Paid_On__c"),
        **_texts(255, "Number__c"),
        **_texts(40, "Kind__c", "Status__c"),
        **_numbers(2, "Total__c", "Amount_Due__c", "Amount_Paid__c"),
    },
}  # fmt: skip

#: system -> object -> native field (list places as `[]`) -> its limit
LIMITS: Mapping[str, Mapping[str, Mapping[str, Limit]]] = {"salesforce": SALESFORCE, "xero": XERO}
