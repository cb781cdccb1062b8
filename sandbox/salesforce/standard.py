"""The standard objects of this organisation, in the notation of fields.py. Names and lengths only; no behaviour."""

from __future__ import annotations

from sandbox.salesforce.fields import Field, SObject, build, parse

STAGES = {  # StageName -> (IsClosed, IsWon, Probability, ForecastCategory)
    "Prospecting": (False, False, 10, "Pipeline"),
    "Qualification": (False, False, 10, "Pipeline"),
    "Needs Analysis": (False, False, 20, "Pipeline"),
    "Value Proposition": (False, False, 50, "Pipeline"),
    "Id. Decision Makers": (False, False, 60, "Pipeline"),
    "Perception Analysis": (False, False, 70, "Pipeline"),
    "Proposal/Price Quote": (False, False, 75, "Pipeline"),
    "Negotiation/Review": (False, False, 90, "Pipeline"),
    "Closed Won": (True, True, 100, "Closed"),
    "Closed Lost": (True, False, 0, "Omitted"),
}
ACTIVATED = "Activated"

_DELETED = "IsDeleted: boolean readonly label=Deleted"
_SYSTEM = """
CreatedDate: datetime readonly
CreatedById: reference(User) as=CreatedBy readonly
LastModifiedDate: datetime readonly
LastModifiedById: reference(User) as=LastModifiedBy readonly
SystemModstamp: datetime readonly
"""
_CURRENCY = "CurrencyIsoCode: picklist(255) restricted label='Currency ISO Code'"
_OWNER = "OwnerId: reference(User) as=Owner"


def address(kind: str) -> str:
    """The parts of one address, and the compound that is made of them."""
    return f"""
{kind}Street: textarea(255)
{kind}City: string(40)
{kind}State: string(80)
{kind}PostalCode: string(20)
{kind}Country: string(80)
{kind}Latitude: double(18,15)
{kind}Longitude: double(18,15)
{kind}GeocodeAccuracy: picklist(40)
{kind}Address: address readonly
"""


# name, label, plural, key prefix, words (owner, currency, noname, nocreate, keeps: cannot be deleted), lines
_OBJECTS: tuple[tuple[str, str, str, str, str, str], ...] = (
    (
        "Account",
        "Account",
        "Accounts",
        "001",
        "owner currency",
        """
MasterRecordId: reference(Account) as=MasterRecord readonly
Name: string(255) required label='Account Name'
Type: picklist values='Prospect|Customer - Direct|Customer - Channel|Channel Partner / Reseller|Other'
ParentId: reference(Account) as=Parent children=ChildAccounts
Phone: phone
Fax: phone
AccountNumber: string(40)
Website: url
Sic: string(20)
Industry: picklist
AnnualRevenue: currency(18,0)
NumberOfEmployees: int
Ownership: picklist
TickerSymbol: string(20)
Description: textarea
Rating: picklist
Site: string(80)
AccountSource: picklist
"""
        + address("Billing")
        + address("Shipping"),
    ),
    (
        "Contact",
        "Contact",
        "Contacts",
        "003",
        "owner currency",
        """
MasterRecordId: reference(Contact) as=MasterRecord readonly
AccountId: reference(Account) as=Account children=Contacts cascade
LastName: string(80) required
FirstName: string(40)
Salutation: picklist(40)
Name: string(121) readonly label='Full Name'
Phone: phone
Fax: phone
MobilePhone: phone
Email: email
Title: string(128)
Department: string(80)
Description: textarea
"""
        + address("Mailing"),
    ),
    (
        "Product2",
        "Product",
        "Products",
        "01t",
        "currency",
        """
Name: string(255) required label='Product Name'
ProductCode: string(255)
Description: textarea(4000)
IsActive: boolean label=Active
Family: picklist
ExternalId: string(255)
DisplayUrl: url(1000)
QuantityUnitOfMeasure: picklist
StockKeepingUnit: string(180) label='Product SKU'
IsArchived: boolean readonly
""",
    ),
    (
        "Pricebook2",
        "Price Book",
        "Price Books",
        "01s",
        "currency",
        """
Name: string(255) required label='Price Book Name'
IsActive: boolean label=Active
IsStandard: boolean readonly
IsArchived: boolean readonly
Description: string(255)
""",
    ),
    (
        "PricebookEntry",
        "Price Book Entry",
        "Price Book Entries",
        "01u",
        "currency",
        """
Name: string(255) readonly label='Product Name'
Pricebook2Id: reference(Pricebook2) as=Pricebook2 children=PricebookEntries required createonly
Product2Id: reference(Product2) as=Product2 children=PricebookEntries required createonly
UnitPrice: currency(18,6) required label='List Price'
IsActive: boolean label=Active
UseStandardPrice: boolean
ProductCode: string(255) readonly
IsArchived: boolean readonly
""",
    ),
    (
        "Opportunity",
        "Opportunity",
        "Opportunities",
        "006",
        "owner currency",
        f"""
AccountId: reference(Account) as=Account children=Opportunities cascade
IsPrivate: boolean
Name: string(120) required
Description: textarea
StageName: picklist required values='{"|".join(STAGES)}' label=Stage
Amount: currency(18,2)
Probability: percent(3,0)
ExpectedRevenue: currency(18,2) readonly
TotalOpportunityQuantity: double(18,2)
CloseDate: date required
Type: picklist values='Existing Customer - Upgrade|Existing Customer - Replacement|New Customer'
NextStep: string(255)
LeadSource: picklist
IsClosed: boolean readonly
IsWon: boolean readonly
ForecastCategory: picklist(40) readonly
HasOpportunityLineItem: boolean readonly
Pricebook2Id: reference(Pricebook2) as=Pricebook2
ContactId: reference(Contact) createonly
SyncedQuoteId: reference(Quote) as=SyncedQuote
""",
    ),
    (
        "OpportunityLineItem",
        "Opportunity Product",
        "Opportunity Product",
        "00k",
        "currency",
        """
OpportunityId: reference(Opportunity) as=Opportunity children=OpportunityLineItems cascade required createonly
SortOrder: int
PricebookEntryId: reference(PricebookEntry) as=PricebookEntry required createonly
Product2Id: reference(Product2) as=Product2 readonly
ProductCode: string(255) readonly
Name: string(376) readonly label='Opportunity Product Name'
Quantity: double(12,2) required
Discount: percent(5,2)
Subtotal: currency(18,2) readonly
TotalPrice: currency(18,2) readonly
UnitPrice: currency(18,6) label='Sales Price'
ListPrice: currency(18,6) readonly
ServiceDate: date
Description: string(255) label='Line Description'
""",
    ),
    (
        "Quote",
        "Quote",
        "Quotes",
        "0Q0",
        "owner currency",
        """
Name: string(255) required label='Quote Name'
QuoteNumber: string(30) readonly number={00000000}
OpportunityId: reference(Opportunity) as=Opportunity children=Quotes cascade createonly
AccountId: reference(Account) as=Account children=Quotes readonly
Pricebook2Id: reference(Pricebook2) as=Pricebook2
ContactId: reference(Contact) as=Contact
IsSyncing: boolean readonly
ShippingHandling: currency(18,2) label='Shipping and Handling'
Tax: currency(18,2)
Status: picklist values='Draft|Needs Review|In Review|Approved|Rejected|Presented|Accepted|Denied' default=Draft
ExpirationDate: date
Description: textarea
Subtotal: currency(18,2) readonly
TotalPrice: currency(18,2) readonly
LineItemCount: int readonly
Discount: percent(5,2) readonly
GrandTotal: currency(18,2) readonly
Phone: phone
Email: email
BillingName: string(255) label='Bill To Name'
ShippingName: string(255) label='Ship To Name'
"""
        + address("Billing")
        + address("Shipping"),
    ),
    (
        "QuoteLineItem",
        "Quote Line Item",
        "Quote Line Items",
        "0QL",
        "currency noname",
        """
LineNumber: string(255) readonly number={00000000}
QuoteId: reference(Quote) as=Quote children=QuoteLineItems cascade required createonly
PricebookEntryId: reference(PricebookEntry) as=PricebookEntry required createonly
OpportunityLineItemId: reference(OpportunityLineItem) as=OpportunityLineItem
Product2Id: reference(Product2) as=Product2 createonly
Quantity: double(12,2) required
UnitPrice: currency(18,6) required label='Sales Price'
Discount: percent(5,2)
ListPrice: currency(18,6) readonly
Subtotal: currency(18,2) readonly
TotalPrice: currency(18,2) readonly
ServiceDate: date
Description: string(255) label='Line Item Description'
SortOrder: int
""",
    ),
    (
        "Order",
        "Order",
        "Orders",
        "801",
        "owner currency",
        f"""
AccountId: reference(Account) as=Account children=Orders cascade required
ContractId: string(18)
Pricebook2Id: reference(Pricebook2) as=Pricebook2
OriginalOrderId: reference(Order) as=OriginalOrder createonly
OpportunityId: reference(Opportunity) as=Opportunity children=Orders
QuoteId: reference(Quote) as=Quote children=Orders
EffectiveDate: date required label='Order Start Date'
EndDate: date label='Order End Date'
IsReductionOrder: boolean createonly label='Reduction Order'
Status: picklist required values='Draft|{ACTIVATED}|Cancelled' restricted
Description: textarea
CustomerAuthorizedById: reference(Contact) as=CustomerAuthorizedBy
CustomerAuthorizedDate: date
CompanyAuthorizedById: reference(User) as=CompanyAuthorizedBy
CompanyAuthorizedDate: date
Type: picklist
Name: string(80) label='Order Name'
PoDate: date label='PO Date'
PoNumber: string(80) label='PO Number'
OrderReferenceNumber: string(80)
BillToContactId: reference(Contact) as=BillToContact
ShipToContactId: reference(Contact) as=ShipToContact
ActivatedDate: datetime readonly
ActivatedById: reference(User) as=ActivatedBy readonly
StatusCode: picklist(40) readonly values='Draft|Activated|Canceled'
OrderNumber: string(30) readonly number={{00000000}}
TotalAmount: currency(18,2) readonly label='Order Amount'
"""
        + address("Billing")
        + address("Shipping"),
    ),
    (
        "OrderItem",
        "Order Product",
        "Order Products",
        "802",
        "currency noname",
        """
Product2Id: reference(Product2) as=Product2 createonly
OrderId: reference(Order) as=Order children=OrderItems cascade required createonly
PricebookEntryId: reference(PricebookEntry) as=PricebookEntry required createonly
OriginalOrderItemId: reference(OrderItem) as=OriginalOrderItem createonly
QuoteLineItemId: reference(QuoteLineItem) as=QuoteLineItem
AvailableQuantity: double(18,2) readonly
Quantity: double(18,2) required
UnitPrice: currency(18,6)
ListPrice: currency(18,6) readonly
TotalPrice: currency(18,2) readonly
ServiceDate: date label='Start Date'
EndDate: date
Description: textarea(255) label='Line Description'
OrderItemNumber: string(30) readonly number={0000000000} label='Order Product Number'
""",
    ),
    (
        "ReturnOrder",
        "Return Order",
        "Return Orders",
        "0fR",
        "owner currency noname",
        """
ReturnOrderNumber: string(255) readonly number={00000000}
OrderId: reference(Order) as=Order children=ReturnOrders
AccountId: reference(Account) as=Account children=ReturnOrders
ContactId: reference(Contact) as=Contact children=ReturnOrders
Description: textarea
Status: picklist values='Draft|Submitted|Approved|Canceled|Closed' default=Draft
ExpectedArrivalDate: datetime
ExpirationDate: date
ReturnedById: reference(User) as=ReturnedBy
""",
    ),
    (
        "ReturnOrderLineItem",
        "Return Order Line Item",
        "Return Order Line Items",
        "0fL",
        "currency noname",
        """
ReturnOrderLineItemNumber: string(255) readonly number={00000000}
ReturnOrderId: reference(ReturnOrder) as=ReturnOrder children=ReturnOrderLineItems cascade required createonly
OrderItemId: reference(OrderItem) as=OrderItem children=ReturnOrderLineItems
Product2Id: reference(Product2) as=Product2 children=ReturnOrderLineItems
Description: textarea
QuantityReturned: double(18,2) required
QuantityExpected: double(18,2)
QuantityReceived: double(18,2)
QuantityRejected: double(18,2)
UnitPrice: currency(18,2)
GrossUnitPrice: currency(18,2)
ReasonForReturn: picklist values='Damaged|Defective|Duplicate Order|Wrong Item|Wrong Quantity|Not Satisfied|Other'
ReasonForRejection: picklist
ProcessingPlan: picklist values='Repair|Discard|Salvage|Restock'
RepaymentMethod: picklist values='Replace|Refund|Credit|Return'
""",
    ),
    (
        "CurrencyType",
        "Currency Type",
        "Currency Types",
        "01L",
        "noname keeps",
        """
IsoCode: string(3) required createonly unique label='Currency ISO Code'
ConversionRate: double(18,6) required
DecimalPlaces: int required
IsActive: boolean default=true
IsCorporate: boolean
""",
    ),
    (
        "DatedConversionRate",
        "Dated Conversion Rate",
        "Dated Conversion Rates",
        "04w",
        "noname keeps",
        """
IsoCode: string(3) required createonly
StartDate: date required createonly
NextStartDate: date readonly
ConversionRate: double(18,6) required
""",
    ),
    (
        "User",
        "User",
        "Users",
        "005",
        "currency keeps",
        """
Username: string(80) required unique
LastName: string(80) required
FirstName: string(40)
Name: string(121) readonly
Email: email required
Alias: string(8)
IsActive: boolean
TimeZoneSidKey: picklist(40)
LocaleSidKey: picklist(40)
LanguageLocaleKey: picklist(40)
UserType: picklist(40) readonly
""",
    ),
    (
        "Organization",
        "Organization",
        "Organization",
        "00D",
        "nocreate keeps",
        """
Name: string(80) required
Country: string(80)
TimeZoneSidKey: picklist(40)
LanguageLocaleKey: picklist(40)
DefaultLocaleSidKey: picklist(40)
FiscalYearStartMonth: int
OrganizationType: picklist(40) readonly
InstanceName: string(5) readonly
IsSandbox: boolean readonly
""",
    ),
)


def standard_objects() -> dict[str, SObject]:
    """The standard objects by name, without custom fields."""
    return {name: _object(name, *rest) for name, *rest in _OBJECTS}


def system_fields(*, owner: bool, currency: bool, bin: bool = True) -> list[Field]:
    """The fields that every object has, besides Id; `bin`: its records can be deleted."""
    lines = [_OWNER] * owner + [_CURRENCY] * currency + [_DELETED] * bin + _SYSTEM.split("\n")
    return [parse(line) for line in lines if line]


def _object(name: str, label: str, plural: str, prefix: str, words: str, lines: str) -> SObject:
    fields = [parse(f"Id: id readonly label='{label} ID'"), *(parse(line) for line in lines.split("\n") if line)]
    keeps = "keeps" in words
    fields += system_fields(owner="owner" in words, currency="currency" in words, bin=not keeps)
    has_name = "noname" not in words
    number = {
        "Order": "OrderNumber", "OrderItem": "OrderItemNumber", "QuoteLineItem": "LineNumber",
        "ReturnOrder": "ReturnOrderNumber", "ReturnOrderLineItem": "ReturnOrderLineItemNumber",
    }.get(name)  # fmt: skip
    writable = "nocreate" not in words
    name_field = number or ("Name" if has_name else None)
    return build(
        name,
        label,
        plural,
        prefix,
        fields,
        name_field=name_field,
        createable=writable,
        deletable=writable and not keeps,
    )
