"""Bodies of requests from native frames: canonical JSON with exact numbers, made column by column.

Names of columns are paths: `Contact.ContactID` makes an object, `Addresses[0].City` a list of objects. Nulls are left
out, and so is an object or an element that has nothing inside. The bytes are those of model/identity.canonical_json:
sorted keys, no blanks, UTF-8; numbers have no exponent and no zeros at the end.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Texts = Sequence[str | None]  # JSON texts of one column, None where nothing is to be written
_STEP = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)(?:\.|$)")


def bodies(
    header: pd.DataFrame,
    lines: pd.DataFrame | None = None,
    child: str | None = None,
    key: str = "_key",
    null: Collection[str] = (),
) -> pd.Series[Any]:
    """One JSON object for each row of `header`, as bytes.

    Args:
        header: native fields; columns that start with `_` are not written.
        lines: rows that become the list `child`, in the order in which they stand.
        child: the list's name, such as `LineItems`; with `lines`.
        key: the column of both frames by which lines find their header; unique in `header`.
        null: columns of `header` that are written as null where they have no value.

    Returns:
        bytes, indexed by the values of `key`. A header without lines has no list.

    Raises:
        ValueError: a line without a header, a key that repeats, or a float.
    """
    import pandas as pd

    columns: dict[str, Texts] = {
        name: _texts(header[name], keep_null=name in null) for name in header.columns if not name.startswith("_")
    }
    if lines is not None:
        if child is None:
            raise ValueError("lines need the name of their list")
        columns[child] = _lists(header[key], lines, key)
    made = _object(_tree(columns), len(header))
    return pd.Series([(text or "{}").encode() for text in made], index=pd.Index(header[key], name=key), dtype=object)


def _lists(keys: pd.Series[Any], lines: pd.DataFrame, key: str) -> Texts:
    if not keys.is_unique:
        raise ValueError(f"{key} repeats among the headers")
    native = {name: _texts(lines[name]) for name in lines.columns if not name.startswith("_") and name != key}
    gathered: dict[Any, list[str]] = {value: [] for value in keys}
    for value, text in zip(lines[key], _object(_tree(native), len(lines)), strict=True):
        if value not in gathered:
            raise ValueError(f"a line belongs to {key} {value!r}, which has no header")
        gathered[value].append(text or "{}")
    return [f"[{','.join(found)}]" if (found := gathered[value]) else None for value in keys]


def _texts(values: pd.Series[Any], *, keep_null: bool = False) -> Texts:
    """A column as JSON texts."""
    import pandas as pd
    import pyarrow as pa

    from tieout.mapping.columns import number_texts

    kind = values.dtype
    missing = "null" if keep_null else None
    made: Texts
    if isinstance(kind, pd.ArrowDtype) and pa.types.is_decimal(kind.pyarrow_dtype):
        made = number_texts(pa.array(values))
    elif isinstance(kind, pd.StringDtype):
        made = [encode_basestring(value) if isinstance(value, str) else None for value in values.tolist()]
    elif kind.kind == "b":
        made = [None if value is pd.NA else "true" if value else "false" for value in values.tolist()]
    elif kind.kind in "iu":
        made = [None if value is pd.NA else str(value) for value in values.tolist()]
    else:
        made = [_text(value) for value in values.astype(object).tolist()]
    return [missing if text is None else text for text in made] if keep_null else made


def _text(value: Any) -> str | None:
    from decimal import Decimal

    import pandas as pd

    from tieout.mapping.columns import plain

    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return plain(value)
    raise ValueError(f"expected text, a boolean or an exact number in a body, found {type(value).__name__}")


def _tree(columns: dict[str, Texts]) -> dict[str | int, Any]:
    """Nested by the paths of the names; keys of a list are ints."""
    root: dict[str | int, Any] = {}
    for name, texts in columns.items():
        steps: list[str | int] = []
        for found in _STEP.finditer(name):
            steps.append(found[1])
            steps.extend(int(number) for number in re.findall(r"\d+", found[2]))
        here = root
        for step in steps[:-1]:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                raise ValueError(f"{name}: {step} is a value and an object")
        if isinstance(here.get(steps[-1]), dict):
            raise ValueError(f"{name} is a value and an object")
        here[steps[-1]] = texts
    return root


def _object(tree: dict[str | int, Any], count: int) -> Texts:
    parts: list[Texts] = []
    listed = any(isinstance(key, int) for key in tree)
    for key in sorted(tree):
        child = tree[key]
        texts = _object(child, count) if isinstance(child, dict) else child
        prefix = "" if listed else encode_basestring(str(key)) + ":"
        parts.append([None if text is None else prefix + text for text in texts] if prefix else texts)
    if not parts:
        return [None] * count
    start, end = "[]" if listed else "{}"
    rows = (",".join(filter(None, row)) for row in zip(*parts, strict=True))
    return [start + row + end if row else None for row in rows]
