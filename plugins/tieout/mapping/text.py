"""How vendors count, cut and refuse characters: pure functions over single texts."""

from __future__ import annotations

import hashlib
import unicodedata

_JOINER = "\u200d"


def length(text: str) -> int:
    """UTF-16 units, as Java (Salesforce) and .NET (Xero) count: an emoji is two."""
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF) if not text.isascii() else len(text)


def cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, never within a character that a reader sees as one, without a blank at the end."""
    if length(text) <= limit:
        return text
    kept, used = 0, 0
    for char in text:
        used += 2 if ord(char) > 0xFFFF else 1
        if used > limit:
            break
        kept += 1
    while kept > 0 and (_continues(text[kept]) or text[kept - 1] == _JOINER):
        kept -= 1
    return text[:kept].rstrip()


def mark(value: object) -> str:
    """Eight hex digits that stand for a value."""
    return hashlib.sha256(str(value).encode()).hexdigest()[:8]


def unprintable(char: str) -> bool:
    """Control characters but tab and line breaks, lone surrogates, non-characters: JSON and XML readers refuse them."""
    if char in "\t\n\r":
        return False
    code = ord(char)
    return unicodedata.category(char) in ("Cc", "Cs") or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def _continues(char: str) -> bool:
    """Whether it belongs to the character before: accents, variation selectors, skin tones, joiners."""
    return (
        unicodedata.combining(char) != 0
        or char == _JOINER
        or unicodedata.category(char) in ("Mn", "Me", "Mc")
        or 0x1F3FB <= ord(char) <= 0x1F3FF
    )
