"""What QuickBooks Online's entities have and take: lengths as Intuit's reference of the Accounting API states them.

Names that Intuit does not have are made by the connector when it reads (connectors/quickbooks/links.py, settings.py).
"""

from __future__ import annotations

from tieout.mapping.limits.fields import Limit, computed, numbers, plain, texts

_BASE_PER_FOREIGN = Limit(rate="base_per_foreign", precision=10)

_SYSTEM = {**plain("Id"), **computed("SyncToken", "MetaData.CreateTime", "MetaData.LastUpdatedTime")}
#: Made by the connector.
_MADE = computed("Kind", "Standing", "Note")
_SALE = {
    **_SYSTEM,
    **_MADE,
    **computed("NetAmt", "SalesLines"),
    **texts(21, "DocNumber"),
    **texts(4000, "PrivateNote"),
    **texts(1000, "CustomerMemo.value"),
    **plain("CustomerRef.value", "TxnDate", "CurrencyRef.value", "Line", "GlobalTaxCalculation", "BillEmail.Address"),
    **numbers(2, "TxnTaxDetail.TotalTax"),
    "ExchangeRate": _BASE_PER_FOREIGN,
    **computed("TotalAmt", "HomeTotalAmt", "Balance", "LinkedTxn"),
}

LIMITS: dict[str, dict[str, Limit]] = {
    "Customer": {
        **_SYSTEM,
        **texts(500, "DisplayName", required=True),
        **texts(100, "GivenName", "MiddleName", "FamilyName", "CompanyName", "PrimaryEmailAddr.Address"),
        **texts(20, "PrimaryTaxIdentifier"),
        **texts(30, "PrimaryPhone.FreeFormNumber", "BillAddr.PostalCode"),
        **texts(2000, "Notes"),
        **texts(500, *(f"BillAddr.Line{n}" for n in range(1, 6))),
        **texts(255, "BillAddr.City", "BillAddr.CountrySubDivisionCode", "BillAddr.Country"),
        **plain("Active", "CurrencyRef.value"),
        **computed("Balance", "FullyQualifiedName"),
    },
    "Invoice": {**_SALE, **plain("DueDate"), **computed("Credited", "Paid", "PaidOn")},
    "CreditMemo": {**_SALE, **computed("RemainingCredit", "Allocations")},
    "RefundReceipt": {**_SALE},
    "Line": {
        **plain("Id", "LineNum", "SalesItemLineDetail.ItemRef.value", "SalesItemLineDetail.TaxCodeRef.value"),
        **plain("DetailType", required=True),
        **texts(4000, "Description"),
        **numbers(3, "Amount"),  # as many as the currency has; QuickBooks has none with more than three
        **numbers(5, "SalesItemLineDetail.Qty", "SalesItemLineDetail.UnitPrice"),
    },
    "Payment": {
        **_SYSTEM,
        **_MADE,
        **plain("CustomerRef.value", "TxnDate", "CurrencyRef.value"),
        **plain("Line[].LinkedTxn[].TxnId", "Line[].LinkedTxn[].TxnType"),
        **numbers(3, "TotalAmt", "Line[].Amount"),
        **texts(21, "PaymentRefNum"),
        **texts(4000, "PrivateNote"),
        "ExchangeRate": _BASE_PER_FOREIGN,
        **computed("UnappliedAmt", "Applications", "Credits", "UnappliedKind", "UnappliedStanding"),
    },
    "Purchase": {
        **_SYSTEM,
        **texts(21, "DocNumber"),
        **texts(4000, "PrivateNote"),
        **plain("PaymentType", "AccountRef.name", "EntityRef.value", "EntityRef.type", "TxnDate", "CurrencyRef.value"),
        **plain("GlobalTaxCalculation", "CreditMemoRef.value", "Line[].DetailType"),
        **numbers(3, "Line[].Amount"),
        "ExchangeRate": _BASE_PER_FOREIGN,
    },
    "Item": {
        **_SYSTEM,
        **texts(100, "Name", "Sku"),
        **texts(4000, "Description"),
        **numbers(5, "UnitPrice"),
        **plain("Type", "Active", "SalesTaxCodeRef.value", "IncomeAccountRef.value"),
        **computed("QtyOnHand", "FullyQualifiedName"),
    },
    "TaxCode": {**_SYSTEM, **plain("Name", "Active", "Description"), **computed("SalesRate")},
    "CompanyCurrency": {**_SYSTEM, **plain("Code", "Name", "Active")},
    "Company": plain("Id", "CompanyName", "Country", "HomeCurrency", "BookCloseDate"),
}
#: By object: what is not Intuit's own but the connector's.
MADE: dict[str, frozenset[str]] = {
    "Invoice": frozenset({*_MADE, "NetAmt", "SalesLines", "Credited", "Paid", "PaidOn"}),
    "CreditMemo": frozenset({*_MADE, "NetAmt", "SalesLines", "Allocations"}),
    "Payment": frozenset({*_MADE, "Applications", "Credits", "UnappliedKind", "UnappliedStanding"}),
    "RefundReceipt": frozenset({*_MADE, "NetAmt", "SalesLines"}),
    "Purchase": frozenset({"CreditMemoRef.value"}),
    "TaxCode": frozenset({"SalesRate"}),
    "Company": frozenset(LIMITS["Company"]),
}
