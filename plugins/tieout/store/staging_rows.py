"""Rows in COPY's binary form, made column by column in C: no statement of Python runs for a single row.

What a value looks like in the binary form of its type is said in staging_usual.py.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

#: What PostgreSQL is to receive in one column, None for null.
WireList = Sequence[str | None] | Sequence[bytes | None]
#: The same, or bytes that stand in every row.
Wire = WireList | bytes

_LENGTH = struct.Struct("!i").pack
_COLUMNS = struct.Struct("!h").pack
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"


def copy_bytes(columns: Sequence[Wire], count: int) -> list[bytes | memoryview]:
    """`count` rows as COPY takes them, in parts to be written one after the other. At least one column is a list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[Any] = []
    # What is the same in each row is gathered, and stands before the next list's values.
    same = _COLUMNS(len(columns))
    for column in columns:
        if isinstance(column, bytes):
            same += _LENGTH(len(column)) + column
            continue
        values = pa.array(column, pa.binary())
        parts += [pa.scalar(same, pa.binary()), _lengths(values), values]
        same = b""
    joined = pc.binary_join_element_wise(
        *parts, pa.scalar(same, pa.binary()), pa.scalar(b"", pa.binary()), null_handling="replace", null_replacement=b""
    )
    # An array's values lie one after the other: they are the rows already.
    ends, values = joined.buffers()[1:]
    size = memoryview(ends).cast("i")[count]
    return [_HEADER, memoryview(values)[:size], _END]


def _lengths(values: Any) -> Any:
    """The length of each value as four bytes, -1 for null, as an array of bytes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.binary_length(values), -1).to_numpy().astype(">i4")
    places = np.arange(0, 4 * len(lengths) + 1, 4, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(lengths), [None, pa.py_buffer(places), pa.py_buffer(lengths)])
