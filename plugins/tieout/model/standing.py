"""Where a document of a ledger stands, in words that every ledger's mapping gives: the common field `standing`.

The vendor's own word stays beside it, as `status`: that is what people are shown.
"""

from __future__ import annotations

#: Nobody approved it yet: it is in no period's books.
DRAFT = "draft"
#: In the books, and something of it is owed or still to be used.
OPEN = "open"
#: In the books, and paid or used up.
SETTLED = "settled"
#: Voided or deleted: it counts for nothing.
VOID = "void"

IN_THE_BOOKS = (OPEN, SETTLED)

#: `credit_memo.kind` of a credit note to a customer.
SALES_CREDIT = "credit"
#: What lowers a customer's balance as long as it is not used up: the entity -> its kind that belongs to customers.
CREDITS = {"credit_memo": SALES_CREDIT, "overpayment": "received", "prepayment": "received"}
#: The entity of what goes back to customers without a credit note, where a ledger has such documents.
CASH_REFUND = "cash_refund"

#: Where a customer stands: `account.status`.
ACTIVE, ARCHIVED, MERGED = "active", "archived", "merged"
