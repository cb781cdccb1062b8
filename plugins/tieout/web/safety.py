"""What keeps the pages safe: response headers, CSRF tokens bound to the person, paths that stay inside a folder."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

#: Nothing from elsewhere, no inline script, no inline style; framed by Airflow's own UI only.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
)
#: Data Docs are made by Great Expectations from data of other systems: an origin of their own, no network.
DOCS_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; font-src data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

#: What is served of a Data Docs folder, by the file's ending.
DOCS_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def csrf_token(secret: bytes, person: str) -> str:
    """The token that a person's forms carry: whoever cannot read our pages cannot know it."""
    return hmac.new(secret, b"tieout-csrf\x1f" + person.encode(), hashlib.sha256).hexdigest()


def csrf_matches(secret: bytes, person: str, token: str) -> bool:
    """Whether `token` is that person's, compared in constant time."""
    return hmac.compare_digest(csrf_token(secret, person).encode(), token.encode())


def file_inside(folder: Path, path: str) -> Path | None:
    """The existing plain file `path` below `folder` (index.html for a folder), None for anything else.

    Links that lead outside count as not there.
    """
    root = folder.resolve()
    try:
        found = (root / path).resolve()
    except (OSError, ValueError):  # a zero byte, a loop of links
        return None
    if found.is_dir():
        found = (found / "index.html").resolve()
    return found if found.is_relative_to(root) and found.is_file() else None
