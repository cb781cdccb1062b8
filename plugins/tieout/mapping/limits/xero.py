"""What Xero's objects have and take.

Sources: its OpenAPI description (maxLength, required), its developer pages for the currency rate (foreign per base) and
four decimals of UnitAmount with unitdp=4. Lengths of Reference (255), LineItem Description (4000) and TaxType (50) are
as its validation messages give them, not in the description.
"""

from __future__ import annotations

from tieout.mapping.limits.fields import Limit, computed, numbers, plain, texts

_FOREIGN_PER_BASE = Limit(rate="foreign_per_base", precision=6)

_ADDRESS = {
    **plain("AddressType"),
    **texts(500, "AddressLine1", "AddressLine2", "AddressLine3", "AddressLine4"),
    **texts(255, "City", "Region", "AttentionTo"),
    **texts(50, "PostalCode", "Country"),
}
_PHONE = {
    **plain("PhoneType"),
    **texts(50, "PhoneNumber"),
    **texts(10, "PhoneAreaCode"),
    **texts(20, "PhoneCountryCode"),
}
_XERO_DOCUMENT = {
    **plain(
        "Status", "Date", "DueDate", "CurrencyCode", "LineItems", "BrandingThemeID", "SentToContact", "Allocations"
    ),
    **plain("Type", "Contact.ContactID", "LineAmountTypes", required=True),
    **texts(255, "Reference"),
    "CurrencyRate": _FOREIGN_PER_BASE,
    **computed("SubTotal", "TotalTax", "Total", "UpdatedDateUTC", "FullyPaidOnDate", "HasAttachments", "Payments"),
}

LIMITS: dict[str, dict[str, Limit]] = {
    "Contacts": {
        **plain("ContactID", "ContactStatus", "DefaultCurrency", "Addresses", "Phones", "IsCustomer", "IsSupplier"),
        **texts(50, "ContactNumber", "AccountNumber", "TaxNumber", "CompanyNumber"),
        **texts(255, "Name", required=True),
        **texts(255, "FirstName", "LastName", "EmailAddress"),
        **{f"Addresses[].{name}": limit for name, limit in _ADDRESS.items()},
        **{f"Phones[].{name}": limit for name, limit in _PHONE.items()},
        **computed("UpdatedDateUTC", "MergedToContactID", "Website", "Balances"),
    },
    "Items": {
        **plain("ItemID", "IsSold", "IsPurchased", "SalesDetails.AccountCode", "SalesDetails.TaxType"),
        **computed("IsTrackedAsInventory"),
        **texts(30, "Code", required=True),
        **texts(50, "Name"),
        **texts(4000, "Description"),
        **numbers(4, "SalesDetails.UnitPrice"),
        **computed("UpdatedDateUTC", "QuantityOnHand", "TotalCostPool"),
    },
    "Invoices": {
        **_XERO_DOCUMENT,
        **plain("InvoiceID", "Url", "ExpectedPaymentDate", "PlannedPaymentDate"),
        **texts(255, "InvoiceNumber"),
        **computed("AmountDue", "AmountPaid", "AmountCredited", "TotalDiscount"),
        **computed("CreditNotes", "Prepayments", "Overpayments"),
    },
    "CreditNotes": {
        **_XERO_DOCUMENT,
        **plain("CreditNoteID"),
        **texts(255, "CreditNoteNumber"),
        **computed("RemainingCredit", "AppliedAmount"),
    },
    "LineItems": {
        **plain("LineItemID", "AccountID", "Tracking"),
        **texts(4000, "Description", required=True),
        **numbers(4, "Quantity", "UnitAmount", "DiscountRate"),
        **numbers(2, "LineAmount", "TaxAmount", "DiscountAmount"),
        **texts(10, "AccountCode"),
        **texts(30, "ItemCode"),
        **texts(50, "TaxType"),
    },
    "Allocations": {
        **plain("CreditNote.CreditNoteID", "Invoice.InvoiceID", "Date", required=True),
        **numbers(2, "Amount"),
    },
    "Payments": {
        **plain(
            "PaymentID", "PaymentType", "Status", "Invoice.InvoiceID", "Invoice.CurrencyCode",
            "CreditNote.CreditNoteID", "CreditNote.CurrencyCode", "Account.Code", "Date", "Reference", "IsReconciled",
        ),
        **numbers(2, "Amount"),
        "CurrencyRate": _FOREIGN_PER_BASE,
        **computed("UpdatedDateUTC", "BankAmount"),
    },
    "Overpayments": {**_XERO_DOCUMENT, **plain("OverpaymentID"), **computed("RemainingCredit", "AppliedAmount")},
    "Prepayments": {**_XERO_DOCUMENT, **plain("PrepaymentID"), **computed("RemainingCredit", "AppliedAmount")},
    "TaxRates": plain(
        "TaxType", "Name", "EffectiveRate", "DisplayTaxRate", "Status", "TaxComponents", "ReportTaxType",
    ),
    "Currencies": plain("Code", "Description"),
    "Organisation": plain(
        "OrganisationID", "Name", "LegalName", "BaseCurrency", "CountryCode", "PeriodLockDate", "EndOfYearLockDate",
        "Timezone", "ShortCode", "TaxNumber",
    ),
}  # fmt: skip
