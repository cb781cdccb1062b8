"""The fields of Intuit's types that a body may hold, by kind; names and kinds as in Intuit's own schema.

A kind is string, decimal, boolean, date, another type of this table, or any (kept as sent); `*` is a list of it.
A field that is not here is refused as Intuit refuses it: 2010, a property that is unsupported or invalid.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMES: Mapping[str, Mapping[str, str]] = {
    "Customer": {
        "string": (
            "Id SyncToken IntuitId Title GivenName MiddleName FamilyName Suffix FullyQualifiedName "
            "CompanyName DisplayName PrintOnCheckName UserId V4IDPseudonym ContactName AltContactName Notes "
            "AcctNum PreferredDeliveryMethod ResaleNum SecondaryTaxIdentifier PrimaryTaxIdentifier "
            "TaxExemptionReasonId BusinessNumber GSTIN GSTRegistrationType ClientCompanyId ClientEntityId "
            "Source TaxRegime domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef OtherContactInfo",
        "boolean": "Organization Active Taxable Job BillWithParent TDSEnabled IsProject IsCISContractor sparse",
        "TelephoneNumber": "PrimaryPhone AlternatePhone Mobile Fax",
        "EmailAddress": "PrimaryEmailAddr",
        "WebSiteAddress": "WebAddr",
        "ReferenceType": (
            "DefaultTaxCodeRef RootCustomerRef ParentRef CustomerTypeRef SalesTermRef SalesRepRef "
            "TaxGroupCodeRef TaxRateRef PaymentMethodRef PriceLevelRef CurrencyRef ARAccountRef"
        ),
        "PhysicalAddress": "BillAddr ShipAddr",
        "PhysicalAddress*": "OtherAddr",
        "decimal": "Level Balance BalanceWithJobs CreditLimit OverDueBalance TotalRevenue TotalExpense",
        "any": "CCDetail JobInfo CustomerEx",
        "date": "OpenBalanceDate",
    },
    "Item": {
        "string": (
            "Id SyncToken Name Sku Description FullyQualifiedName Type PurchaseDesc ManPartNum "
            "SpecialItemType ServiceType ItemCategoryType UQCDisplayText UQCId Source domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef CustomExtensions",
        "boolean": (
            "Active SubItem Taxable SalesTaxIncluded PercentBased PurchaseTaxIncluded TrackQtyOnHand "
            "PrintGroupedItems SpecialItem DeferredRevenue sparse"
        ),
        "ReferenceType": (
            "ParentRef PaymentMethodRef UOMSetRef IncomeAccountRef ExpenseAccountRef COGSAccountRef "
            "AssetAccountRef PrefVendorRef DepositToAccountRef SalesTaxCodeRef PurchaseTaxCodeRef "
            "TaxClassificationRef ClassRef"
        ),
        "decimal": (
            "Level UnitPrice RatePercent PurchaseCost AvgCost QtyOnHand QtyOnPurchaseOrder QtyOnSalesOrder "
            "ReorderPoint BuildPoint AbatementRate ReverseChargeRate"
        ),
        "date": "InvStartDate",
        "any": "ItemGroupDetail ItemAssemblyDetail ItemEx",
    },
    "Invoice": {
        "string": (
            "Id SyncToken DocNumber TxnSubType PrivateNote TxnStatus TxnSource TaxFormType TaxFormNum "
            "TransactionLocationType PONumber FOB TrackingNum GlobalTaxCalculation PrintStatus EmailStatus "
            "PaymentRefNum PaymentType GovtTxnRefIdentifier EInvoiceStatus ECloudStatusTimeStamp Exportation "
            "invoiceStatus callToAction InvoiceLink PaymentDetailsMessage InvoiceLinkSecurityCode "
            "ScheduledPaymentId FinancingProductType SubscriptionPaymentsSetting domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef Tag invoiceStatusLog",
        "date": "TxnDate DueDate ShipDate InvoiceLinkExpiryDate",
        "ReferenceType": (
            "DepartmentRef CurrencyRef RecurDataRef ProjectRef CustomerRef RemitToRef ClassRef SalesTermRef "
            "SalesRepRef ShipMethodRef TemplateRef ARAccountRef PaymentMethodRef DepositToAccountRef "
            "TaxExemptionRef"
        ),
        "decimal": (
            "ExchangeRate TotalCostAmount HomeTotalCostAmount TotalAmt HomeTotalAmt Balance HomeBalance "
            "DiscountRate DiscountAmt Deposit CfdiUse LessCIS"
        ),
        "LinkedTxn*": "LinkedTxn",
        "Line*": "Line",
        "TxnTaxDetail": "TxnTaxDetail",
        "any": (
            "TxnApprovalInfo RecurringInfo CheckPayment CreditCardPayment DeliveryInfo GlobalInfo InvoiceEx "
            "ConvenienceFeeDetail EnabledSurchargeInfo TxnRetainageDetail"
        ),
        "boolean": (
            "AutoDocNumber FreeFormAddress ApplyTaxAfterDiscount ShippingTaxIncludedInTotalTax FinanceCharge "
            "AllowIPNPayment AllowOnlinePayment AllowOnlineCreditCardPayment AllowOnlineACHPayment "
            "AllowOnlinePayPalPayment AllowOnlineAffirmPayment AutoPayEligible SchedulePayEligible "
            "GratuityEnabled sparse"
        ),
        "MemoRef": "CustomerMemo",
        "PhysicalAddress": "BillAddr ShipAddr ShipFromAddr",
        "EmailAddress": "BillEmail BillEmailCc BillEmailBcc",
    },
    "CreditMemo": {
        "string": (
            "Id SyncToken DocNumber TxnSubType PrivateNote TxnStatus TxnSource TaxFormType TaxFormNum "
            "TransactionLocationType PONumber FOB TrackingNum GlobalTaxCalculation PrintStatus EmailStatus "
            "PaymentRefNum PaymentType GovtTxnRefIdentifier domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef Tag",
        "date": "TxnDate DueDate ShipDate",
        "ReferenceType": (
            "DepartmentRef CurrencyRef RecurDataRef ProjectRef CustomerRef RemitToRef ClassRef SalesTermRef "
            "SalesRepRef ShipMethodRef TemplateRef ARAccountRef PaymentMethodRef DepositToAccountRef "
            "TaxExemptionRef InvoiceRef"
        ),
        "decimal": (
            "ExchangeRate TotalCostAmount HomeTotalCostAmount TotalAmt HomeTotalAmt Balance HomeBalance "
            "DiscountRate DiscountAmt RemainingCredit"
        ),
        "LinkedTxn*": "LinkedTxn",
        "Line*": "Line",
        "TxnTaxDetail": "TxnTaxDetail",
        "any": "TxnApprovalInfo RecurringInfo CheckPayment CreditCardPayment DeliveryInfo CreditMemoEx",
        "boolean": (
            "AutoDocNumber FreeFormAddress ApplyTaxAfterDiscount ShippingTaxIncludedInTotalTax FinanceCharge sparse"
        ),
        "MemoRef": "CustomerMemo",
        "PhysicalAddress": "BillAddr ShipAddr ShipFromAddr",
        "EmailAddress": "BillEmail BillEmailCc BillEmailBcc",
    },
    "RefundReceipt": {
        "string": (
            "Id SyncToken DocNumber TxnSubType PrivateNote TxnStatus TxnSource TaxFormType TaxFormNum "
            "TransactionLocationType PONumber FOB TrackingNum GlobalTaxCalculation PrintStatus EmailStatus "
            "PaymentRefNum PaymentType GovtTxnRefIdentifier domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef Tag",
        "date": "TxnDate DueDate ShipDate",
        "ReferenceType": (
            "DepartmentRef CurrencyRef RecurDataRef ProjectRef CustomerRef RemitToRef ClassRef SalesTermRef "
            "SalesRepRef ShipMethodRef TemplateRef ARAccountRef PaymentMethodRef DepositToAccountRef "
            "TaxExemptionRef"
        ),
        "decimal": (
            "ExchangeRate TotalCostAmount HomeTotalCostAmount TotalAmt HomeTotalAmt Balance HomeBalance "
            "DiscountRate DiscountAmt RemainingCredit"
        ),
        "LinkedTxn*": "LinkedTxn",
        "Line*": "Line",
        "TxnTaxDetail": "TxnTaxDetail",
        "any": "TxnApprovalInfo RecurringInfo CheckPayment CreditCardPayment DeliveryInfo RefundReceiptEx",
        "boolean": (
            "AutoDocNumber FreeFormAddress ApplyTaxAfterDiscount ShippingTaxIncludedInTotalTax FinanceCharge sparse"
        ),
        "MemoRef": "CustomerMemo",
        "PhysicalAddress": "BillAddr ShipAddr ShipFromAddr",
        "EmailAddress": "BillEmail BillEmailCc BillEmailBcc",
    },
    "Payment": {
        "string": (
            "Id SyncToken DocNumber TxnSubType PrivateNote TxnStatus TxnSource TaxFormType TaxFormNum "
            "TransactionLocationType PaymentRefNum PaymentType PaymentExtendedType domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef Tag",
        "date": "TxnDate",
        "ReferenceType": (
            "DepartmentRef CurrencyRef RecurDataRef ProjectRef CustomerRef RemitToRef ARAccountRef "
            "DepositToAccountRef PaymentMethodRef"
        ),
        "decimal": "ExchangeRate TotalCostAmount HomeTotalCostAmount TotalAmt UnappliedAmt",
        "LinkedTxn*": "LinkedTxn",
        "Line*": "Line",
        "TxnTaxDetail": "TxnTaxDetail",
        "any": "TxnApprovalInfo RecurringInfo CheckPayment CreditCardPayment PaymentEx",
        "boolean": "ProcessPayment sparse",
    },
    "Purchase": {
        "string": (
            "Id SyncToken DocNumber TxnSubType PrivateNote TxnStatus TxnSource TaxFormType TaxFormNum "
            "TransactionLocationType PaymentRefNum PaymentType TxnId TxnNum Memo PrintStatus GlobalTaxCalculation "
            "domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef Tag",
        "date": "TxnDate",
        "ReferenceType": "DepartmentRef CurrencyRef RecurDataRef ProjectRef AccountRef PaymentMethodRef EntityRef",
        "decimal": "ExchangeRate TotalCostAmount HomeTotalCostAmount TotalAmt LessCIS",
        "LinkedTxn*": "LinkedTxn",
        "Line*": "Line",
        "TxnTaxDetail": "TxnTaxDetail",
        "any": "TxnApprovalInfo RecurringInfo CheckPayment CreditCardPayment PurchaseEx",
        "boolean": "Credit IncludeInAnnualTPAR sparse",
        "PhysicalAddress": "RemitToAddr",
    },
    "Line": {
        "string": "Id Description DetailType",
        "decimal": "LineNum Amount Received CostAmount HomeCostAmount",
        "LinkedTxn*": "LinkedTxn",
        "any": (
            "PaymentLineDetail ItemBasedExpenseLineDetail ReimburseLineDetail "
            "DepositLineDetail PurchaseOrderItemLineDetail SalesOrderItemLineDetail ItemReceiptLineDetail "
            "JournalEntryLineDetail GroupLineDetail TDSLineDetail ItemAdjustmentLineDetail LineEx"
        ),
        "AccountBasedExpenseLineDetail": "AccountBasedExpenseLineDetail",
        "DiscountLineDetail": "DiscountLineDetail",
        "TaxLineDetail": "TaxLineDetail",
        "SalesItemLineDetail": "SalesItemLineDetail",
        "DescriptionLineDetail": "DescriptionLineDetail",
        "SubTotalLineDetail": "SubTotalLineDetail",
        "CustomField*": "CustomField",
        "ReferenceType": "ProjectRef",
        "any*": "CustomExtensions",
    },
    "SalesItemLineDetail": {
        "ReferenceType": (
            "ItemRef ClassRef PriceLevelRef ItemAccountRef InventorySiteRef TaxCodeRef TaxClassificationRef"
        ),
        "decimal": ("UnitPrice UnitCostPrice RatePercent Qty TaxInclusiveAmt DiscountRate DiscountAmt RetainageAmount"),
        "any": "MarkupInfo UOMRef SalesItemLineDetailEx",
        "date": "ServiceDate",
        "boolean": "DeferredRevenue",
    },
    "AccountBasedExpenseLineDetail": {
        "ReferenceType": "CustomerRef ClassRef AccountRef TaxCodeRef",
        "string": "BillableStatus",
        "decimal": "TaxAmount TaxInclusiveAmt",
        "any": "MarkupInfo ExpenseDetailLineDetailEx",
    },
    "DiscountLineDetail": {
        "ReferenceType": "DiscountRef DiscountAccountRef ClassRef TaxCodeRef",
        "boolean": "PercentBased",
        "decimal": "DiscountPercent",
        "date": "ServiceDate",
        "any": "DiscountLineDetailEx",
    },
    "SubTotalLineDetail": {
        "ReferenceType": "ItemRef",
        "date": "ServiceDate",
    },
    "DescriptionLineDetail": {
        "date": "ServiceDate",
        "ReferenceType": "TaxCodeRef",
        "any": "DescriptionLineDetailEx",
    },
    "TaxLineDetail": {
        "ReferenceType": "TaxRateRef",
        "boolean": "PercentBased",
        "decimal": "TaxPercent NetAmountTaxable TaxInclusiveAmount OverrideDeltaAmount",
        "date": "ServiceDate",
        "any": "TaxLineDetailEx",
    },
    "TxnTaxDetail": {
        "ReferenceType": "DefaultTaxCodeRef TxnTaxCodeRef",
        "decimal": "TotalTax",
        "string": "TaxReviewStatus",
        "Line*": "TaxLine",
        "boolean": "UseAutomatedSalesTax",
    },
    "LinkedTxn": {
        "string": "TxnId TxnType TxnLineId",
    },
    "MemoRef": {
        "string": "value id",
    },
    "ReferenceType": {
        "string": "value name type",
    },
    "ModificationMetaData": {
        "ReferenceType": "CreatedByRef LastModifiedByRef",
        "string": "CreateTime LastUpdatedTime LastChangedInQB",
        "boolean": "Synchronized",
    },
    "PhysicalAddress": {
        "string": (
            "Id Line1 Line2 Line3 Line4 Line5 City Country CountryCode County CountrySubDivisionCode "
            "PostalCode PostalCodeSuffix Lat Long Tag Note"
        ),
    },
    "EmailAddress": {
        "string": "Id Address Tag",
        "boolean": "Default",
    },
    "TelephoneNumber": {
        "string": "Id DeviceType CountryCode AreaCode ExchangeCode Extension FreeFormNumber Tag",
        "boolean": "Default",
    },
    "WebSiteAddress": {
        "string": "Id Tag",
        "any": "URI",
        "boolean": "Default",
    },
    "CustomField": {
        "string": "DefinitionId Name Type StringValue",
        "boolean": "BooleanValue",
        "date": "DateValue",
        "decimal": "NumberValue",
    },
    "Account": {
        "string": (
            "Id SyncToken Name Description FullyQualifiedName AccountAlias TxnLocationType Classification "
            "AccountType AccountSubType AcctNum AcctNumExtn BankNum FIName domain status"
        ),
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef",
        "boolean": "SubAccount Active TaxAccount OnlineBankingEnabled sparse",
        "ReferenceType": "ParentRef CurrencyRef TaxCodeRef JournalCodeRef",
        "ReferenceType*": "AccountPurposes",
        "decimal": "OpeningBalance CurrentBalance CurrentBalanceWithSubAccounts",
        "date": "OpeningBalanceDate",
        "any": "AccountEx",
    },
    "Term": {
        "string": "Id SyncToken Name Type domain status",
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef",
        "boolean": "Active sparse",
        "decimal": "DiscountPercent DueDays DiscountDays DayOfMonthDue DueNextMonthDays DiscountDayOfMonth",
        "any": "SalesTermEx",
    },
    "CompanyCurrency": {
        "string": "Id SyncToken Code Name domain status",
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef",
        "boolean": "Active sparse",
        "any": "CompanyCurrencyEx",
    },
    "ExchangeRate": {
        "string": "Id SyncToken SourceCurrencyCode TargetCurrencyCode domain status",
        "ModificationMetaData": "MetaData",
        "CustomField*": "CustomField",
        "any*": "AttachableRef",
        "decimal": "Rate",
        "date": "AsOfDate",
        "any": "ExchangeRateEx",
        "boolean": "sparse",
    },
}

FIELDS: Mapping[str, Mapping[str, str]] = {
    name: {field: kind for kind, fields in by_kind.items() for field in fields.split()}
    for name, by_kind in _NAMES.items()
}
