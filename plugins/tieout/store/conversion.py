"""From a declared column to the SQL that reads it out of a record's JSON, and says what is wrong when it cannot.

The conversion runs inside PostgreSQL, in the statement that stages a chunk: Python never touches single values. It is
a pure function of the payload, so that a changed declaration can be applied to what is staged already (staging.py).

Nothing here ever fails on a value: a text that is no number becomes null and a line in `_problems`.
An empty text counts as null for every type: vendors mix the two freely.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from tieout.model.staged import ColumnType, StagedEntity, StagedField

#: PostgreSQL's word for each declared type.
SQL_TYPES: dict[ColumnType, str] = {
    "text": "text", "integer": "bigint", "decimal": "numeric", "boolean": "boolean", "date": "date",
    "timestamp": "timestamptz", "json": "jsonb",
}  # fmt: skip

#: decimal128(38, 18) holds what is within both: see staged_frames.py.
DECIMAL_DIGITS_BEFORE, DECIMAL_DIGITS_AFTER = 20, 18
#: Characters of a bad value that are kept in `_problems`.
FOUND_CHARACTERS = 100
#: How a problem ends that was found before the record became JSON: it cannot be found again from the payload.
REPLACED = ", replaced"

_EXPECTED: dict[ColumnType, str] = {
    "text": "a text",
    "integer": "a whole number of at most 64 bits",
    "decimal": f"a decimal number (up to {DECIMAL_DIGITS_BEFORE} digits before, {DECIMAL_DIGITS_AFTER} after the dot)",
    "boolean": "true or false",
    "date": "a date (ISO 8601, years 1 to 9999)",
    "timestamp": "a time (ISO 8601, years 1 to 9999)",
    "json": "any value",
}  # fmt: skip

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$"
_WHOLE = r"^\s*[+-]?\d{1,30}(\.0*)?\s*$"
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?\s?([Zz]|[+-]\d\d(:?\d\d)?)?)?$"
# The usual spellings, and much cheaper to ask for than the expression above. They do not say that there are digits:
# the first character and PostgreSQL's own reading do.
_USUAL = ("____-__-__T__:__:__.___+0000", "____-__-__T__:__:__.___Z", "____-__-__T__:__:__Z", "____-__-__T__:__:__",
          "____-__-__")  # fmt: skip
# Xero's older form; the offset only says where it is shown, the milliseconds are UTC.
_EPOCH = r"^/Date\((-?\d{1,14}|\d{15})([+-]\d{4})?\)/$"


def column_type(field: StagedField) -> sql.SQL:
    return sql.SQL(SQL_TYPES[field.type])


def raw(path: str, document: str = "j") -> sql.Composable:
    """The value at a path as text: null where nothing stands or JSON null."""
    parts = path.split(".")
    if len(parts) == 1:
        return sql.SQL("{}->>{}").format(sql.Identifier(document), sql.Literal(path))
    return sql.SQL("{}#>>{}").format(sql.Identifier(document), sql.Literal("{" + ",".join(map(_quoted, parts)) + "}"))


def json_value(path: str, document: str = "j") -> sql.Composable:
    """The value at a path as jsonb."""
    if "." not in path:
        return sql.SQL("{}->{}").format(sql.Identifier(document), sql.Literal(path))
    return sql.SQL("{}#>{}").format(
        sql.Identifier(document), sql.Literal("{" + ",".join(map(_quoted, path.split("."))) + "}")
    )


def raws(entity: StagedEntity) -> sql.Composable:
    """`j->>'A' as t0, ...`: every declared value as text, and the modification time as `tm`."""
    parts = [
        sql.SQL("nullif({}, '') as {}").format(raw(field.path), sql.Identifier(f"t{number}"))
        for number, field in enumerate(entity.fields)
    ]
    modified = raw(entity.modified) if entity.modified else sql.SQL("null::text")
    return sql.SQL(", ").join([*parts, sql.SQL("nullif({}, '') as tm").format(modified)])


def content_hash(entity: StagedEntity) -> sql.Composable:
    """SHA-256 over the declared values as the vendor wrote them, without what Tieout writes itself.

    The modification time is no content either: our own write-back moves it.
    """
    names = [
        sql.Identifier(f"t{number}")
        for number, field in enumerate(entity.fields)
        if not field.echo and field.path != entity.modified
    ]
    # An array's text form is unambiguous: each element is quoted where it has to be.
    return sql.SQL("encode(sha256(convert_to(array[{}]::text[]::text, 'UTF8')), 'hex')").format(
        sql.SQL(", ").join(names)
    )


def candidates(entity: StagedEntity) -> sql.Composable:
    """`... as c0, ...`: each value as its type, null where its text has not the shape of that type; `cm` likewise."""
    parts = [
        sql.SQL("{} as {}").format(_candidate(field, number), sql.Identifier(f"c{number}"))
        for number, field in enumerate(entity.fields)
        if not _is_modified(entity, field)
    ]
    return sql.SQL(", ").join([*parts, sql.SQL("{} as cm").format(_timestamp(sql.Identifier("tm")))])


def _is_modified(entity: StagedEntity, field: StagedField) -> bool:
    """Is the column the modification time itself? Then it is converted once, as `cm`."""
    return field.path == entity.modified and field.type == "timestamp"


def _name(entity: StagedEntity, number: int) -> sql.Identifier:
    return sql.Identifier("cm" if _is_modified(entity, entity.fields[number]) else f"c{number}")


def values(entity: StagedEntity) -> list[sql.Composable]:
    """The declared columns' values from the candidates: those out of range are null."""
    return [_bounded(field.type, _name(entity, number)) for number, field in enumerate(entity.fields)]


def modified_value() -> sql.Composable:
    return _bounded("timestamp", sql.Identifier("cm"))


def problems(entity: StagedEntity) -> sql.Composable:
    """text[]: `column: expected ..., found '...'` for each value that is there and could not be read."""
    entries = [
        _problem(field.column, field.type, sql.Identifier(f"t{number}"), _name(entity, number))
        for number, field in enumerate(entity.fields)
        if field.type != "json"
    ]
    if entity.modified and entity.modified not in {field.path for field in entity.fields}:
        entries.append(_problem("_modified_at", "timestamp", sql.Identifier("tm"), sql.Identifier("cm")))
    listed = sql.SQL("array[{}]::text[]").format(sql.SQL(", ").join(entries))
    return sql.SQL("coalesce(notes, '{{}}') || array_remove({}, null)").format(listed)


def declaration(entity: StagedEntity) -> list[object]:
    """What the staged columns are a function of: when this changes, staged rows are converted again."""
    fields = [[f.column, f.path, f.type, f.echo] for f in entity.fields]
    return [entity.modified, fields, _NUMBER, _WHOLE, _ISO, _EPOCH, DECIMAL_DIGITS_BEFORE, DECIMAL_DIGITS_AFTER]


def _candidate(field: StagedField, number: int) -> sql.Composable:
    text = sql.Identifier(f"t{number}")
    match field.type:
        case "text":
            # Only a text that looks like an object or a list is asked whether it is one.
            return sql.SQL(
                "case when left({0}, 1) not in ('{{', '[') or jsonb_typeof({1}) not in ('object', 'array') then {0} end"
            ).format(text, json_value(field.path))
        case "integer":
            whole = sql.SQL("split_part({}, '.', 1)").format(text)
            return sql.SQL("case when {0} ~ {1} and pg_input_is_valid({2}, 'bigint') then ({2})::bigint end").format(
                text, sql.Literal(_WHOLE), whole
            )
        case "decimal":
            return sql.SQL(
                "case when jsonb_typeof({2}) = 'number' then ({2})::numeric when {0} ~ {1} then {0}::numeric end"
            ).format(text, sql.Literal(_NUMBER), json_value(field.path))
        case "boolean":
            return sql.SQL("case lower({}) when 'true' then true when 'false' then false end").format(text)
        case "date":
            return sql.SQL(
                "case when {iso} then case when pg_input_is_valid(left({0}, 10), 'date') then left({0}, 10)::date end "
                "when {0} ~ {1} then ({2} at time zone 'UTC')::date end"
            ).format(text, sql.Literal(_EPOCH), _from_epoch(text), iso=_is_iso(text))
        case "timestamp":
            return _timestamp(text)
        case "json":
            return sql.SQL("nullif({}, 'null'::jsonb)").format(json_value(field.path))


def _timestamp(text: sql.Composable) -> sql.Composable:
    return sql.SQL(
        "case when {iso} then case when pg_input_is_valid({0}, 'timestamptz') then {0}::timestamptz end "
        "when {0} ~ {1} then {2} end"
    ).format(text, sql.Literal(_EPOCH), _from_epoch(text), iso=_is_iso(text))


def _is_iso(text: sql.Composable) -> sql.Composable:
    usual = sql.SQL(" or ").join(sql.SQL("{} like {}").format(text, sql.Literal(form)) for form in _USUAL)
    return sql.SQL("case when left({0}, 1) between '0' and '9' and ({1}) then true else {0} ~ {2} end").format(
        text, usual, sql.Literal(_ISO)
    )


def _from_epoch(text: sql.Composable) -> sql.Composable:
    """Milliseconds since 1970 as a time, by whole days and a rest: an interval times a large number is a double."""
    milliseconds = sql.SQL("substring({} from {})::bigint").format(text, sql.Literal(r"\((-?\d+)"))
    return sql.SQL(
        "(('1970-01-01'::date + ({0} / 86400000)::int)::timestamp + mod({0}, 86400000) * interval '1 millisecond') "
        "at time zone 'UTC'"
    ).format(milliseconds)


def _bounded(kind: ColumnType, value: sql.Composable) -> sql.Composable:
    if kind == "decimal":
        return sql.SQL("case when abs({0}) < 1e{1} and min_scale({0}) <= {2} then {0} end").format(
            value, sql.SQL(str(DECIMAL_DIGITS_BEFORE)), sql.SQL(str(DECIMAL_DIGITS_AFTER))
        )
    if kind == "date":
        return sql.SQL("case when {0} between '0001-01-01' and '9999-12-31' then {0} end").format(value)
    if kind == "timestamp":
        return sql.SQL(
            "case when {0} between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00' then {0} end"
        ).format(value)
    return value


def _problem(column: str, kind: ColumnType, text: sql.Composable, candidate: sql.Composable) -> sql.Composable:
    start = f"{column}: expected {_EXPECTED[kind]}, found '"
    return sql.SQL("case when {0} is not null and {1} is null then {2} || left({0}, {3}) || '''' end").format(
        text, _bounded(kind, candidate), sql.Literal(start), sql.SQL(str(FOUND_CHARACTERS))
    )


def _quoted(part: str) -> str:
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def names(fields: Sequence[StagedField]) -> list[sql.Identifier]:
    """The declared columns' names."""
    return [sql.Identifier(field.column) for field in fields]
