"""How the common model's fields follow from one another in quote-to-cash: what joins the two halves of the matrix."""

from __future__ import annotations

Step = tuple[str, str, str]

#: (from entity.field, to entity.field, in words). The rules themselves are in billing.py and customer_book.py.
STEPS: tuple[Step, ...] = (
    ("order.number", "invoice.number", "by the link's invoice_number"),
    ("opportunity.number", "invoice.number", "by the link's invoice_number"),
    ("order.account_id", "invoice.customer_id", "the customer that stands for the account"),
    ("opportunity.account_id", "invoice.customer_id", "the customer that stands for the account"),
    ("order.order_date", "invoice.date", "or the next open day, as closed_period says"),
    ("opportunity.order_date", "invoice.date", "or the next open day, as closed_period says"),
    ("order.order_date", "invoice.due_date", "plus the link's due_days"),
    ("opportunity.order_date", "invoice.due_date", "plus the link's due_days"),
    ("order.currency", "invoice.currency", "kept"),
    ("opportunity.currency", "invoice.currency", "kept"),
    ("order.exchange_rate", "invoice.exchange_rate", "where the link says exchange_rate: crm"),
    ("order.reference", "invoice.reference", "kept"),
    ("order.order_id", "invoice.source_url", "link to the CRM's record"),
    ("order.freight_minor", "invoice_line.unit_price", "a line of its own on freight_product_code"),
    ("quote.freight_minor", "invoice_line.unit_price", "a line of its own on freight_product_code"),
    ("order_line.product_code", "invoice_line.product_code", "by an approved alias where there is one"),
    ("order_line.product_code", "invoice_line.account_code", "the link's product_accounts, else revenue_account"),
    ("order_line.description", "invoice_line.description", "kept"),
    ("order_line.quantity", "invoice_line.quantity", "kept"),
    ("order_line.unit_price", "invoice_line.unit_price", "kept"),
    ("quote_line.unit_price", "invoice_line.unit_price", "of the accepted quote, where there is one"),
    ("order_line.discount_percent", "invoice_line.discount_percent", "kept"),
    ("quote_line.discount_percent", "invoice_line.discount_percent", "of the accepted quote, where there is one"),
    ("order_line.tax_code", "invoice_line.tax_code", "by the link's tax_codes"),
    ("opportunity.total_minor", "invoice_line.unit_price", "split by the link's rule where the deal has no lines"),
    ("opportunity_line.unit_price", "invoice_line.unit_price", "kept"),
    ("contact.first_name", "account.first_name", "of the billing contact, else the first"),
    ("contact.last_name", "account.last_name", "of the billing contact, else the first"),
    ("contact.email", "account.email", "of the billing contact, else the first"),
    ("account.account_id", "account.ledger_id", "the customer that stands for the account"),
    ("invoice.invoice_id", "order.invoice_id", "of the live invoice"),
    ("invoice.number", "order.invoice_number", "of the live invoice"),
    ("invoice.status", "order.invoice_status", "of the live invoice"),
    ("invoice.total_minor", "order.invoice_total_minor", "of the live invoice"),
    ("invoice.due_minor", "order.invoice_due_minor", "of the live invoice"),
    ("invoice.paid_minor", "order.invoice_paid_minor", "of the live invoice"),
    ("invoice.paid_on", "order.invoice_paid_on", "of the live invoice"),
    ("payment.amount_minor", "order.refunded_minor", "sum of the refunds of its credit notes"),
    ("payment.date", "order.refunded_on", "of the last refund of its credit notes"),
    *(
        (f"invoice.{field}", f"ledger_invoice.{field}", "of an invoice that finance raised")
        for field in ("invoice_id", "number", "kind", "status", "currency", "total_minor", "due_minor", "paid_minor",
                      "date", "due_date", "paid_on")
    ),
    ("invoice.due_minor", "credit.open_balance_minor", "sum of the open invoices, less open credit, in its currency"),
    ("credit_memo.remaining_minor", "credit.open_balance_minor", "open credit, taken off"),
    ("overpayment.remaining_minor", "credit.open_balance_minor", "what is left of it, taken off"),
    ("prepayment.remaining_minor", "credit.open_balance_minor", "what is left of it, taken off"),
    ("invoice.due_date", "credit.overdue_minor", "invoices whose due date is over"),
    ("invoice.exchange_rate", "credit.credit_rates", "the latest of each currency that was converted"),
    ("exchange_rate.rate", "credit.credit_rates", "where the ledger has no document in that currency"),
    ("credit.currency", "credit.credit_currency", "kept"),
    ("invoice.customer_id", "ledger_invoice.account_id", "the account that the customer stands for"),
)  # fmt: skip
