"""The page at the mount's root: what is in the portal, for people."""

from __future__ import annotations

from html import escape
from typing import Any

from sandbox.hubspot import records
from sandbox.hubspot.catalog import ObjectType
from sandbox.hubspot.portal import Portal

MAX_ROWS = 200  # newest of each type
MAX_COLUMNS = 9

_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2rem;color:#1b2733}table{border-collapse:collapse;margin:0 0 2rem}"
    "th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #d8dee4}h2{margin:1.5rem 0 .5rem}"
    "p{color:#57606a}"
)


def render(portal: Portal) -> str:
    """The whole page."""
    name = escape(str(portal.setting("portal_name")))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{name}</title><style>{_STYLE}</style></head><body><h1>{name}</h1>",
        f"<p>A sandbox. Portal {escape(str(portal.setting('portal_id')))}, company currency"
        f" {escape(str(portal.setting('company_currency')))}.</p>",
        *(_table(portal, kind) for kind in portal.kinds()),
        "</body></html>",
    ]
    return "".join(parts)


def _table(portal: Portal, kind: ObjectType) -> str:
    keys = portal.by_id(kind, False).keys
    shown = [portal.records(kind)[str(id_)] for _, id_ in keys[: -MAX_ROWS - 1 : -1]]
    used = dict.fromkeys([*kind.default_properties, *(name for one in shown[:20] for name in one["properties"])])
    columns = [*list(used)[:MAX_COLUMNS], kind.modified]
    head = "".join(f"<th>{escape(text)}</th>" for text in ("id", *columns))
    rows = []
    for one in shown:
        cells: list[Any] = [one["id"], *(records.value(kind, one, column) for column in columns)]
        rows.append("<tr>" + "".join(f"<td>{escape(text or '')}</td>" for text in cells) + "</tr>")
    title = f"<h2>{escape(kind.name)} ({len(keys)})</h2>"
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
