"""What is read and written in New System, and where each write finds its record."""

from __future__ import annotations

from collections.abc import Mapping

from scaffold.both.connector.shape import Shape
from tieout.connectors.base import Guard

OBJECTS = (
    "customers",
    "items",
    "invoices",
    "credit_notes",
    "applications",
    "payments",
    "currencies",
    "tax_codes",
    "company",
)
#: Objects that can be chosen by a date, and by which.
DATED: Mapping[str, tuple[str, ...]] = {"invoices": ("date",), "credit_notes": ("date",), "payments": ("date",)}
#: Field that names the record above -> its object. Lines stand inside their documents here.
ABOVE: Mapping[str, str] = {}
SHAPES: Mapping[str, Shape] = {
    "contacts.create": Shape("customers", "create", ("reference",), Guard.NATURAL_KEY),
    "contacts.update": Shape("customers", "update", ("id",)),
    "invoices.create": Shape("invoices", "create", ("number",), Guard.NATURAL_KEY, "number"),
    "invoices.void": Shape("invoices", "void", ("id",), number="number"),
    "credit_notes.create": Shape("credit_notes", "create", ("reference",), Guard.NATURAL_KEY),
    "credit_notes.void": Shape("credit_notes", "void", ("id",)),
    "credit_notes.allocate": Shape("applications", "create", ("credit_note_id", "invoice_id"), Guard.SHORT_KEY),
    "payments.void": Shape("payments", "void", ("id",)),
}
