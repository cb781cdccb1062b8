"""Files that a page sends: a name that every system takes, the type, and headers that keep them out of the page."""

from __future__ import annotations

import re

from fastapi.responses import Response

from tieout.web import safety

_NAME = re.compile(r"[^A-Za-z0-9._-]+")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def workbook_file(name: str, body: bytes) -> Response:
    """A workbook to be saved."""
    return attachment(f"{name}.xlsx", body, XLSX)


def csv_file(name: str, body: bytes) -> Response:
    """A table as text to be saved."""
    return attachment(f"{name}.csv", body, "text/csv; charset=utf-8")


def attachment(name: str, body: bytes, media_type: str = "application/octet-stream") -> Response:
    """Saved, never shown: whatever is in it, it does not run on our pages."""
    plain = _NAME.sub("_", name).strip("._") or "file"
    headers = {
        **safety.HEADERS,
        "Content-Disposition": f'attachment; filename="{plain}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(body, media_type=media_type, headers=headers)
