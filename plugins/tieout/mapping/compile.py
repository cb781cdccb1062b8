"""Mappings as functions over whole frames: staged columns -> common model, common model -> native fields.

A row that cannot be mapped is left out of the outcome and named by a Rejection; a text that was cut or lost characters
is named by a Note. Frames keep their index and their columns that start with `_`. Imports pandas inside the functions,
so that whoever only passes the compiled functions on pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tieout.mapping.spec import FieldMapping, Mapping
from tieout.model.common import ENTITIES
from tieout.model.errors import Rejection
from tieout.model.link import Link

if TYPE_CHECKING:
    import pandas as pd

    from tieout.mapping.registry import Result

_FOUND = 500
_NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Note:
    """A value that was changed to fit the vendor. `kind`: truncated or altered. The value itself is not repeated."""

    entity: str
    source_id: str
    field: str
    kind: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What a compiled mapping made of a frame; rows in + nothing = rows out + rejected rows."""

    frame: pd.DataFrame
    rejections: list[Rejection] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


Compiled = Callable[["pd.DataFrame"], Outcome]


def compile_read(mapping: Mapping, link: Link | None) -> Compiled:
    """Staged frame -> common frame.

    The result has every column of the entity in the common model (null where the mapping reads nothing), typed as
    columns.py says, then the custom ones, then the staged columns that start with `_`.

    With `each` in the mapping a record may become several rows, with the same `_source_id`.

    Returns:
        a function of a frame with the declared columns and `_source_id`; KeyError names a column that it lacks.
    """
    kinds = {name: mapping.common_fields[name] for name in (*ENTITIES[mapping.entity], *mapping.read)}

    def run(frame: pd.DataFrame) -> Outcome:
        from tieout.mapping.columns import as_type, nulls

        if mapping.each is not None:
            frame = _parted(frame, mapping.each)
        work = _Work(mapping, link, frame, "read")
        made = {name: nulls(frame.index, kind) for name, kind in kinds.items()}
        for name, spec in mapping.read.items():
            kind = kinds[name]
            values = work.values(name, spec)
            result = as_type(values, kind)
            work.problems(name, spec, result, reason=f"not_{kind}", expected=kind)
            made[name] = result.values
            if spec.rate == "base_per_foreign":
                made[name] = work.inverted(name, spec, made[name])
            work.above[name] = made[name]
        return work.outcome(made)

    return run


def _parted(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row for each element of the column's JSON lists, as JSON text; a row without elements stays, with null."""
    import json

    import pandas as pd

    # Numbers stay as they are written.
    lists = [json.loads(value, parse_float=str) if isinstance(value, str | bytes) else value for value in frame[column]]
    elements = [
        [json.dumps(one, default=str) for one in value] if isinstance(value, list) and value else [None]
        for value in lists
    ]
    made = frame.copy()
    made[column] = pd.Series(elements, index=frame.index, dtype=object)
    return made.explode(column, ignore_index=True)


def compile_write(mapping: Mapping, link: Link | None, fields: Collection[str] | None = None) -> Compiled:
    """Common frame -> native frame, a column for each native field as payload.py takes it.

    Args:
        fields: only these native fields (an update sends what it has to); None means all.

    Returns:
        a function of a frame whose columns may be objects. A column that it lacks counts as null, so that a caller
        builds only what it has. The result has `_key`: the given one, else `_source_id`, else the entity's own id; it
        names a rejected row.
    """
    specs = {name: spec for name, spec in mapping.write.items() if fields is None or name in fields}
    kinds = mapping.common_fields

    def run(frame: pd.DataFrame) -> Outcome:
        work = _Work(mapping, link, _typed(frame, kinds), "write")
        made: dict[str, pd.Series[Any]] = {}
        for name, spec in specs.items():
            values = work.values(name, spec)
            if spec.rate == "base_per_foreign":
                values = work.inverted(name, spec, values)
            values = work.text_rules(name, spec, values)
            made[name] = work.number_rules(name, spec, values)
        # Who wrote the row down finds it again by this, whatever the target calls it.
        made["_key"] = work.keys
        return work.outcome(made)

    return run


def _typed(frame: pd.DataFrame, kinds: dict[str, str]) -> pd.DataFrame:
    """Every known column as its type of the common model. A caller's wrong type is a fault of ours, so it raises."""
    import pandas as pd

    from tieout.mapping.columns import as_type

    made = {}
    for name in frame.columns:
        if name not in kinds:
            made[name] = frame[name]
            continue
        result = as_type(frame[name], kinds[name])
        if result.problems is not None and result.problems.notna().any():
            raise ValueError(f"column {name}: {result.problems.dropna().iloc[0]}")
        made[name] = result.values
    return pd.DataFrame(made, index=frame.index)


class _Work:
    """One frame on its way: the rows that fell out, with the reason of each, and the notes."""

    def __init__(self, mapping: Mapping, link: Link | None, frame: pd.DataFrame, half: str) -> None:
        self._mapping, self._link, self._frame, self._half = mapping, link, frame, half
        self._rejections: list[Rejection] = []
        self._notes: list[Note] = []
        self.above: dict[str, pd.Series[Any]] = {}  # common fields that were read already
        self._out: set[int] = set()  # positions, because an index may repeat

    def values(self, name: str, spec: FieldMapping) -> pd.Series[Any]:
        """The field's values after its transform."""
        import pandas as pd

        if spec.link:
            if self._link is None:
                raise ValueError(f"{name} is the link's {spec.link}, and there is no link")
            objects, entity = self._link.objects, self._mapping.entity
            setting = objects.get(entity) if spec.link == "object" else getattr(self._link, spec.link)
            return pd.Series(setting, index=self._frame.index, dtype="string")
        if not spec.source:
            return pd.Series(spec.value, index=self._frame.index, dtype=_constant_dtype(spec.value))
        columns = [self._column(source) for source in spec.source]
        if spec.value is not None:
            present = columns[0].notna()
            for column in columns[1:]:
                present |= column.notna()
            constant = pd.Series(spec.value, index=self._frame.index, dtype=_constant_dtype(spec.value))
            return constant.where(present)
        if spec.transform is None:
            return columns[0]
        from tieout.mapping.transforms import TRANSFORMS

        transform = TRANSFORMS[spec.transform]
        result = transform.function(columns, transform.parse(spec.settings), self._link)
        self.problems(name, spec, result, transform.reason, transform.expected, transform.remedy)
        return result.values

    def problems(
        self, name: str, spec: FieldMapping, result: Result, reason: str, expected: str,
        remedy: str = "correct the record at its source",
    ) -> None:  # fmt: skip
        """Turns a result's problems into rejections and its notes into notes."""
        if result.problems is not None:
            for at in result.problems.notna().to_numpy().nonzero()[0]:
                told = str(result.problems.iloc[at]).removeprefix("expected ")
                self._reject(int(at), name, spec, _reason(spec, reason), told or expected, remedy)
        if result.notes is not None:
            for at in result.notes.notna().to_numpy().nonzero()[0]:
                kind = "truncated" if str(result.notes.iloc[at]).startswith("cut ") else "altered"
                self._notes.append(self._note(int(at), name, kind, str(result.notes.iloc[at])))

    def inverted(self, name: str, spec: FieldMapping, rates: pd.Series[Any]) -> pd.Series[Any]:
        """The rates in the other direction."""
        from tieout.mapping.transforms import TRANSFORMS

        transform = TRANSFORMS["invert_rate"]
        result = transform.function([rates], transform.parse({}), self._link)
        self.problems(name, spec, result, transform.reason, transform.expected, transform.remedy)
        return result.values

    def text_rules(self, name: str, spec: FieldMapping, values: pd.Series[Any]) -> pd.Series[Any]:
        """`characters`, `max_length` and `when_longer` on texts."""
        import pandas as pd

        from tieout.mapping import text

        if spec.characters is None and spec.max_length is None:
            return values
        from tieout.mapping.columns import as_text

        made = as_text(values).values.tolist()
        most = spec.max_length or _NO_LIMIT
        for at, value in enumerate(made):
            if not isinstance(value, str) or (value.isascii() and value.isprintable() and len(value) <= most):
                continue
            kept = value
            if spec.characters == "single_line" and len(value.splitlines()) > 1:
                kept = " ".join(part.strip() for part in value.splitlines() if part.strip())
                self._notes.append(self._note(at, name, "altered", "line breaks became blanks"))
            if spec.characters and any(text.unprintable(char) for char in kept):
                self._reject(at, name, spec, "characters_refused", "printable characters", "remove control characters")
            if (size := text.length(kept)) > most:
                if spec.when_longer == "truncate":
                    kept = text.cut(kept, most)
                    note = f"cut from {size} to {text.length(kept)} characters"
                    self._notes.append(self._note(at, name, "truncated", note))
                else:
                    told = f"{size} characters"
                    self._reject(at, name, spec, "text_too_long", f"at most {most} characters", "shorten it", told)
            made[at] = kept
        return pd.Series(made, index=values.index, dtype="string")

    def number_rules(self, name: str, spec: FieldMapping, values: pd.Series[Any]) -> pd.Series[Any]:
        """`precision`, `when_null`, and the forms that a body takes: dates and instants as text."""
        from tieout.mapping.columns import DATE, INSTANT, as_text

        if spec.precision is not None:
            self._precision(name, spec, values)
        if spec.when_null == "reject":
            for at in values.isna().to_numpy().nonzero()[0]:
                self._reject(int(at), name, spec, "value_missing", "a value", "fill it in at its source", "nothing")
        return as_text(values).values if values.dtype in (DATE, INSTANT) else values

    def outcome(self, made: dict[str, pd.Series[Any]]) -> Outcome:
        """The frame without the rejected rows. Rows without a problem all come out: counts close."""
        import numpy as np
        import pandas as pd

        carried = {name: self._frame[name] for name in self._frame.columns if name.startswith("_") and name not in made}
        frame = pd.DataFrame({**made, **carried}, index=self._frame.index)
        if self._out:
            keep = np.ones(len(frame), dtype=bool)
            keep[sorted(self._out)] = False
            frame = frame[keep]
        return Outcome(frame, self._rejections, self._notes)

    def _precision(self, name: str, spec: FieldMapping, values: pd.Series[Any]) -> None:
        from tieout.mapping.columns import as_decimal
        from tieout.model.money import minor_column

        exact = as_decimal(values).values
        if _has_decimals_within(exact, spec.precision or 0):
            return
        inexact = exact.notna() & minor_column(exact, spec.precision or 0)[1]
        for at in inexact.to_numpy(dtype=bool).nonzero()[0]:
            expected = f"at most {spec.precision} decimals"
            self._reject(int(at), name, spec, "too_many_decimals", expected, "correct the number at its source")

    def _column(self, source: str) -> pd.Series[Any]:
        if source in self._frame.columns:
            return self._frame[source]
        if source in self.above:
            return self.above[source]
        if self._half == "read":
            raise KeyError(f"{self._mapping.system} {self._mapping.entity}: the staged frame has no column {source!r}")
        from tieout.mapping.columns import nulls

        return nulls(self._frame.index, self._mapping.common_fields[source])

    @cached_property
    def keys(self) -> pd.Series[Any]:
        """What names each row: the first of these columns that has a text, else its place in the index."""
        import pandas as pd

        found = pd.Series(None, index=self._frame.index, dtype="string")
        for name in ("_key", "_source_id", f"{self._mapping.entity}_id", "line_id"):
            if name in self._frame.columns and found.isna().any():
                found = found.where(found.notna(), self._frame[name].astype("string"))
        return found.where(found.notna(), pd.Series(self._frame.index, index=self._frame.index).astype("string"))

    def _source_id(self, at: int) -> str:
        return str(self.keys.iloc[at])

    def _note(self, at: int, name: str, kind: str, message: str) -> Note:
        return Note(self._mapping.entity, self._source_id(at), name, kind, message)

    def _reject(
        self, at: int, name: str, spec: FieldMapping, reason: str, expected: str, remedy: str, found: str | None = None
    ) -> None:
        if found is None:
            found = " | ".join(_shown(self._column(source).iloc[at]) for source in spec.source)
        self._out.add(at)
        source_id, entity = self._source_id(at), self._mapping.entity
        done = "written" if self._half == "write" else "read"
        self._rejections.append(
            Rejection(
                system=self._mapping.system, entity=entity, source_id=source_id, reason=reason,
                message=f"{entity} {source_id}: {name} cannot be {done} ({self._mapping.where(self._half, name)})",
                expected=expected, found=found[:_FOUND], remedy=remedy,
            )
        )  # fmt: skip


def _has_decimals_within(exact: pd.Series[Any], places: int) -> bool:
    import pyarrow as pa

    try:
        pa.array(exact).cast(pa.decimal128(38, places))
    except pa.ArrowInvalid:
        return False
    return True


def _reason(spec: FieldMapping, reason: str) -> str:
    # `unknown_tax_code` says more than `not_in_table`.
    table = spec.settings.get("table") if reason == "not_in_table" else None
    return f"unknown_{str(table).removesuffix('s')}" if table else reason


def _constant_dtype(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else "Int64" if isinstance(value, int) else "string"


def _shown(value: Any) -> str:
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return "nothing"
    if isinstance(value, Decimal):
        from tieout.mapping.columns import plain

        return plain(value)
    return str(value)
