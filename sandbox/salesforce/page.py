"""The page at `/`: what is in the organisation, for people. Everything is escaped; nothing is loaded from elsewhere."""

from __future__ import annotations

from html import escape

from sandbox.salesforce.fields import SObject
from sandbox.salesforce.org import Org

NEWEST = 5  # records shown of each object
_STYLE = (
    "body{font:15px system-ui;margin:2rem}table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left}"
)


def page(org: Org) -> str:
    """The page as HTML."""
    rows = "".join(_object(org, one) for one in org.schema.objects.values())
    parts = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sandbox: Salesforce</title>',
        f"<style>{_STYLE}</style></head><body><h1>Salesforce sandbox</h1>",
        "<table><thead><tr><th>Object</th><th>Records</th><th>Deleted</th><th>Newest</th></tr></thead>",
        f"<tbody>{rows}</tbody></table></body></html>",
    )
    return "".join(parts)


def _object(org: Org, sobject: SObject) -> str:
    records = org.table(sobject.name).values()
    gone = sum(1 for one in records if one["IsDeleted"])
    newest = sorted(records, key=lambda one: str(one.get("SystemModstamp")))[: -NEWEST - 1 : -1]
    shown = "<br>".join(
        escape(f"{one['Id']} {one.get(sobject.name_field or '') or ''} {one.get('SystemModstamp')}") for one in newest
    )
    cells = (escape(sobject.name), str(len(records) - gone), str(gone), shown)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
