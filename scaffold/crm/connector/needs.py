"""Whether New System has what a link needs of a CRM."""

from __future__ import annotations

from collections.abc import Iterator

from tieout.connectors.base import Finding
from tieout.connectors.requirements import Required
from tieout.connectors.session import Session


def findings(session: Session, required: Required) -> Iterator[Finding]:
    """Says what was not looked at. TODO: are the fields of `required` there, and may the client write them?"""
    for obj, fields in required.fields.items():
        yield Finding(True, f"{obj}: not looked at whether it has {', '.join(sorted(fields))}")
