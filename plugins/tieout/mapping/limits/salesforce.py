"""What Salesforce's objects have and take: its object reference for lengths of standard fields; custom fields are
those of docs/architecture.md.
"""

from __future__ import annotations

from tieout.mapping.limits.fields import Limit, computed, numbers, plain, texts

_FOREIGN_PER_BASE = Limit(rate="foreign_per_base", precision=6)

_SYSTEM = {
    **plain("Id", "CurrencyIsoCode"),
    **computed("SystemModstamp", "CreatedDate", "LastModifiedDate", "IsDeleted"),
}
_WRITE_BACK = {
    **texts(36, "Tieout_Invoice_Id__c"),
    **texts(255, "Tieout_Invoice_Number__c", "Tieout_Message__c"),
    **texts(40, "Tieout_Invoice_Status__c"),
    **numbers(2, "Tieout_Invoice_Total__c", "Tieout_Amount_Due__c", "Tieout_Amount_Paid__c", "Tieout_Refunded__c"),
    **plain("Tieout_Paid_On__c", "Tieout_Refunded_On__c"),
}
_LINE = {
    **_SYSTEM,
    **plain("Product2Id", "PricebookEntryId", "ServiceDate", "Product2.Name", "Product2.ProductCode"),
    **plain("Product2.Tax_Code__c"),
    **texts(255, "Description"),
    **texts(40, "Tax_Code__c"),
    **numbers(2, "Quantity", "Discount"),
    **numbers(6, "UnitPrice"),
    **computed("ListPrice", "TotalPrice", "Subtotal"),
}
_BILLED = {**numbers(2, "Freight__c", "Expected_Tax__c"), "Exchange_Rate__c": _FOREIGN_PER_BASE}
_BILLING = {
    **texts(255, "BillingStreet"),
    **texts(40, "BillingCity"),
    **texts(80, "BillingState", "BillingCountry"),
    **texts(20, "BillingPostalCode"),
}

LIMITS: dict[str, dict[str, Limit]] = {
    "Account": {
        **texts(3, "Tieout_Credit_Currency__c"), **texts(255, "Tieout_Credit_Rates__c"),
        **plain("Tieout_Credit_As_Of__c"),
        **numbers(3, "Tieout_Credit_Limit__c", "Tieout_Open_Balance__c", "Tieout_Overdue_Amount__c",
                   "Tieout_Available_Credit__c"),
        **_SYSTEM,
        **_BILLING,
        **texts(255, "Name", required=True),
        **texts(40, "AccountNumber", "Phone", "Tax_Id__c"),
        **texts(36, "Tieout_Ledger_Id__c"),
        **texts(50, "Tieout_Ledger_Number__c"),
        **plain("Is_Person__c", "ParentId", "Website"),
        **computed("MasterRecordId"),
    },
    "Contact": {
        **_SYSTEM,
        **texts(80, "LastName", "Email", required=False),
        **texts(40, "FirstName", "Phone"),
        **plain("AccountId"),
        **computed("Name", "MasterRecordId"),
    },
    "Product2": {
        **_SYSTEM, **texts(255, "Name", "ProductCode"), **texts(40, "Tax_Code__c"), **plain("IsActive"),
        **texts(4000, "Description"), **texts(36, "Tieout_Item_Id__c"), **texts(32000, "Tieout_Quantity_Prices__c"),
        **numbers(4, "Tieout_Stock__c"),
    },
    "Pricebook2": {**_SYSTEM, **texts(255, "Name", "Description"), **plain("IsActive"), **computed("IsStandard")},
    "PricebookEntry": {
        **_SYSTEM, **numbers(6, "UnitPrice"),
        **plain("Product2Id", "Pricebook2Id", "IsActive", "UseStandardPrice", "Product2.ProductCode"),
    },
    "Order": {
        **_SYSTEM, **_WRITE_BACK, **_BILLED,
        **plain("AccountId", "OpportunityId", "QuoteId", "Status", "EffectiveDate", "BillToContactId", "Account.Name"),
        **texts(80, "PoNumber", "Name", "OrderReferenceNumber"),
        **computed("OrderNumber", "TotalAmount", "StatusCode", "ActivatedDate"),
    },
    "Opportunity": {
        **_SYSTEM, **_WRITE_BACK, **_BILLED,
        **plain("AccountId", "SyncedQuoteId", "StageName", "CloseDate", "Account.Name"),
        **texts(120, "Name"),
        **texts(80, "Product_Code__c"),
        **numbers(2, "Amount"),
        **computed("IsWon", "IsClosed"),
    },
    "OrderItem": {
        **_LINE, **numbers(2, "Discount_Percent__c"), **plain("OrderId", "QuoteLineItemId", "OrderItemNumber"),
    },
    "OpportunityLineItem": {**_LINE, **plain("OpportunityId", "SortOrder", "ProductCode", "Name")},
    "QuoteLineItem": {**_LINE, **plain("QuoteId", "LineNumber", "SortOrder", "OpportunityLineItemId")},
    "Quote": {
        **_SYSTEM,
        **plain("OpportunityId", "AccountId", "Status", "Tieout_Price_Outdated__c"),
        **texts(255, "Name", "Tieout_Price_Message__c"),
        **numbers(2, "ShippingHandling", "Tax"),
        **computed("QuoteNumber", "Subtotal", "TotalPrice", "GrandTotal", "Discount"),
    },
    "ReturnOrder": {
        **_SYSTEM,
        **plain("OrderId", "AccountId", "Status"),
        **computed("ReturnOrderNumber"),
        **numbers(2, "Restocking_Fee__c", "Tieout_Credit_Total__c", "Tieout_Credit_Open__c"),
        **texts(36, "Tieout_Credit_Id__c"),
        **texts(40, "Tieout_Credit_Status__c"),
        **texts(255, "Tieout_Credit_Number__c", "Tieout_Message__c"),
    },
    "ReturnOrderLineItem": {
        **_SYSTEM,
        **plain("ReturnOrderId", "OrderItemId", "ReasonForReturn", "ProcessingPlan"),
        **numbers(2, "QuantityReturned", "UnitPrice"),
        **computed("ReturnOrderLineItemNumber"),
    },
    "CurrencyType": {
        **_SYSTEM, **plain("IsoCode", "DecimalPlaces", "IsActive", "IsCorporate"), "ConversionRate": _FOREIGN_PER_BASE,
    },
    "DatedConversionRate": {
        **_SYSTEM, **plain("IsoCode", "StartDate", "NextStartDate"), "ConversionRate": _FOREIGN_PER_BASE,
    },
    "Ledger_Invoice__c": {
        **_SYSTEM,
        **texts(36, "Ledger_Invoice_Id__c", required=True),
        **plain("Account__c", "Invoice_Date__c", "Due_Date__c", "Paid_On__c"),
        **texts(255, "Number__c"),
        **texts(40, "Kind__c", "Status__c"),
        **numbers(2, "Total__c", "Amount_Due__c", "Amount_Paid__c"),
    },
}  # fmt: skip
