"""Evidence of a break: files that people add. They are never changed and never removed.

What a browser would run (HTML, SVG, scripts) is not taken, and a file has to be what its name says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tieout.reconcile.people import NotAllowed, locked, tell
from tieout.store.reconcile_tables import break_attachment

#: Bytes of one file; the database refuses more as well.
LARGEST = 5 * 1024 * 1024
#: Files of one break.
MOST_FILES = 50
LONGEST_NAME = 150


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file without its content."""

    attachment_id: int
    break_id: int
    name: str
    media_type: str
    sha256: str
    added_by: str
    added_at: datetime


def _is_text(content: bytes) -> bool:
    try:
        return "\x00" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _begins(*with_: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(with_)


#: ending -> media type, and whether the content is of it.
KINDS: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "pdf": ("application/pdf", _begins(b"%PDF-")),
    "png": ("image/png", _begins(b"\x89PNG\r\n\x1a\n")),
    "jpg": ("image/jpeg", _begins(b"\xff\xd8\xff")),
    "jpeg": ("image/jpeg", _begins(b"\xff\xd8\xff")),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _begins(b"PK\x03\x04")),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", _begins(b"PK\x03\x04")),
    "csv": ("text/csv", _is_text),
    "txt": ("text/plain", _is_text),
    "eml": ("message/rfc822", _is_text),
}
_COLUMNS = [break_attachment.c[name] for name in Attachment.__dataclass_fields__]


def attach(conn: Connection, break_id: int, name: str, content: bytes, by: str) -> Attachment:
    """Adds a file to a break, a cleared one too; audited with its hash.

    Raises:
        NotAllowed: no such break, or a file that is not taken; the message says why.
    """
    found = locked(conn, [break_id], by)
    media_type = _checked(name, content)
    there = conn.execute(
        sa.select(sa.func.count()).select_from(break_attachment).where(break_attachment.c.break_id == break_id)
    ).scalar_one()
    if there >= MOST_FILES:
        raise NotAllowed(f"break {break_id} has {there} files; it takes no more")
    values = {
        "break_id": break_id, "name": name.strip(), "media_type": media_type, "content": content,
        "sha256": hashlib.sha256(content).hexdigest(), "added_by": by.strip(),
    }  # fmt: skip
    added = Attachment(*conn.execute(sa.insert(break_attachment).values(**values).returning(*_COLUMNS)).one())
    detail = {"name": added.name, "sha256": added.sha256, "bytes": len(content)}
    tell(conn, found, "attached", by, {**detail, "attachment": added.attachment_id})
    return added


def listing(conn: Connection, break_id: int) -> list[Attachment]:
    """The files of a break, in the order in which they came."""
    query = sa.select(*_COLUMNS).where(break_attachment.c.break_id == break_id).order_by(_COLUMNS[0])
    return [Attachment(*row) for row in conn.execute(query)]


def read(conn: Connection, attachment_id: int) -> tuple[Attachment, bytes]:
    """One file. Whoever sends it to a browser sends it as a download, under `media_type`, never to be shown inline.

    Raises:
        NotAllowed: there is none of that id, or it is not what was added.
    """
    query = sa.select(*_COLUMNS, break_attachment.c.content).where(break_attachment.c.attachment_id == attachment_id)
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotAllowed(f"there is no attachment {attachment_id}")
    found, content = Attachment(*row[:-1]), bytes(row[-1])
    if hashlib.sha256(content).hexdigest() != found.sha256:
        raise NotAllowed(f"attachment {attachment_id} is not what {found.added_by} added: its hash is another")
    return found, content


def _checked(name: str, content: bytes) -> str:
    """The media type of a file that may be kept."""
    clean = name.strip()
    if not clean.isprintable() or not 0 < len(clean) <= LONGEST_NAME or any(sign in clean for sign in '/\\:"<>|?*'):
        raise NotAllowed(f"the name {clean[:40]!r} cannot be kept: 1 to {LONGEST_NAME} printable characters, no path")
    if not 0 < len(content) <= LARGEST:
        raise NotAllowed(f"{clean}: {len(content)} bytes; expected 1 to {LARGEST}")
    ending = clean.rpartition(".")[2].lower() if "." in clean else ""
    if ending not in KINDS:
        raise NotAllowed(f"{clean}: files of this kind are not kept; one of {', '.join(KINDS)}")
    media_type, fits = KINDS[ending]
    if not fits(content):
        raise NotAllowed(f"{clean}: its content is not {media_type}, as its name says")
    return media_type
