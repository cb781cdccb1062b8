"""What a mapping file may say (docs/architecture.md, "Mapping files"), as frozen data. Reading files is load.py's.

`problems` finds what types alone cannot: names that do not exist, settings that a transform does not take.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from tieout.model.common import ENTITIES, WRITE_BACK
from tieout.model.errors import ConfigurationFault
from tieout.model.identity import content_hash
from tieout.model.staged import ColumnType, StagedEntity, StagedField

Place = tuple[str | int, ...]
Scalar = str | int | bool
CommonType = Literal["text", "minor", "decimal", "date", "instant", "boolean", "integer"]

#: Columns of every staging table that a mapping may read.
STAGING_COLUMNS = ("_source_id", "_modified_at", "_deleted")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class StagedColumn(_Part):
    """One column under `staged:`; see model/staged.py for the words."""

    path: str
    type: ColumnType
    required: bool = False
    echo: bool = False


class FieldMapping(_Part):
    """One field under `read:` or `write:`.

    Attributes:
        source: `from`, the columns it is made of; under `read:` also common fields that stand above it in the file.
        value: a constant; with `from`, it is given where any of those columns has a value.
        link: a setting of the link, the same for all rows; `object` is what its `objects` say of this entity, no value
            where they say nothing.
        transform, settings: a name from mapping/transforms.py and its `with`.
        custom: the type of a common field that model/common.py does not have.
        master: who wins where both sides hold the field.
        max_length, when_longer: in UTF-16 units, as both vendors count; a cut is noted in the outcome.
        precision: greatest number of decimals; more are rejected.
        characters: `printable` refuses control characters, `single_line` also turns line breaks into blanks.
        rate: the direction of an exchange rate at this vendor; the common model's is foreign per base.
        when_null: what a missing value does to the body that is written.
    """

    source: Annotated[tuple[str, ...], Field(alias="from")] = ()
    value: Scalar | None = None
    link: Literal["name", "base_currency", "revenue_account", "object"] | None = None
    transform: str | None = None
    settings: Annotated[dict[str, Any], Field(alias="with")] = {}
    custom: CommonType | None = None
    master: Literal["crm", "finance"] | None = None
    max_length: Annotated[int, Field(gt=0)] | None = None
    when_longer: Literal["reject", "truncate"] | None = None
    precision: Annotated[int, Field(ge=0, le=10)] | None = None
    characters: Literal["printable", "single_line"] | None = None
    rate: Literal["foreign_per_base", "base_per_foreign"] | None = None
    when_null: Literal["leave_out", "send", "reject"] = "leave_out"

    @field_validator("source", mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        # A link's override is text: "first_name, last_name".
        return tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else given


class Mapping(_Part):
    """One file include/mappings/<system>/<entity>.yaml.

    Attributes:
        object: the vendor's word for the entity; the body's wrapper and the connector's path follow from it.
        key: path of the id in the vendor's record; None for an entity that only exists inside another (lines).
        modified: path of the modification time; None where the vendor has none.
        each: a staged column with a JSON list: a record is read as one row for each element of it (transform `part`
            takes a value from the element), as one row where the list is empty.
        staged, read, write: see the classes above.
    """

    system: str
    entity: str
    object: str
    key: str | None = None
    modified: str | None = None
    each: str | None = None
    staged: dict[str, StagedColumn] = {}
    read: dict[str, FieldMapping] = {}
    write: dict[str, FieldMapping] = {}

    _file: str = PrivateAttr(default="")
    _lines: dict[Place, int] = PrivateAttr(default_factory=dict)

    @property
    def is_staged(self) -> bool:
        """Whether the entity has a staging table of its own."""
        return self.key is not None and bool(self.staged)

    def staged_entity(self) -> StagedEntity:
        """The declaration of its staging table. The key is staged as `id` where no column is declared for it.

        Raises:
            ConfigurationFault: the entity is not staged by itself.
        """
        if self.key is None or not self.staged:
            raise ConfigurationFault(f"{self.where()}: {self.system} {self.entity} has no staging table")
        fields = tuple(
            StagedField(name, column.path, column.type, column.required, column.echo)
            for name, column in self.staged.items()
        )
        if all(field.path != self.key for field in fields):
            fields = (StagedField("id", self.key, "text", required=True), *fields)
        return StagedEntity(self.system, self.entity, self.object, self.key, self.modified, fields)

    def path_of(self, field: str) -> str:
        """Where the vendor's record has what the common field is read from: the path of its first column.

        Raises:
            ConfigurationFault: the field is read from no column of the record.
        """
        source = self.read[field].source if field in self.read else ()
        if not source or source[0] not in self.staged:
            raise ConfigurationFault(
                f"{self.where('read', field)}: {field} of {self.system} {self.entity}: expected a column of the "
                f"record under 'from', found {', '.join(source) or 'none'}"
            )
        return self.staged[source[0]].path

    def words(self, field: str, *meant: Scalar) -> list[str]:
        """What the vendor's column says where the common field is one of these words; empty where it has none of them.

        Raises:
            ConfigurationFault: the field is not a column, as it is or by a table of the mapping.
        """
        spec = self.read.get(field)
        if spec is None or len(spec.source) != 1 or spec.transform not in (None, "lookup"):
            raise ConfigurationFault(
                f"{self.where('read', field)}: {field} of {self.system} {self.entity}: expected one column, as it is "
                "or by lookup"
            )
        if spec.transform is None:
            return [str(word) for word in meant]
        return [word for word, value in spec.settings.get("values", {}).items() if value in meant]

    def is_sql(self, field: str, *meant: Scalar, table: str) -> str:
        """SQL: the common field of a staged row of `table` is one of these words. Raises as `words`."""
        constant = self.read[field].value
        if constant is not None:
            return "true" if constant in meant else "false"
        listed = ", ".join("'" + word.replace("'", "''") + "'" for word in self.words(field, *meant))
        return f"{table}.{self.read[field].source[0]} in ({listed or 'null'})"

    def ids_sql(self, field: str) -> str:
        """SQL of a text array: what a staged row has in a field that names other records, none, one or, with `each`,
        several. Names come from the mapping alone.
        """
        spec = self.read.get(field)
        if spec is None or not spec.source:
            return "array[]::text[]"
        column = spec.source[0]
        if column != self.each:
            return f"array[{column}]"
        path = "{" + str(spec.settings["path"]).replace(".", ",").replace("'", "''") + "}"
        elements = f"case jsonb_typeof({column}) when 'array' then {column} else '[]' end"
        return f"array(select e #>> '{path}' from jsonb_array_elements({elements}) e)"  # noqa: S608 - names of the mapping

    @property
    def columns(self) -> tuple[str, ...]:
        """What `from` under `read:` may name."""
        declared = [field.column for field in self.staged_entity().fields] if self.is_staged else list(self.staged)
        return (*declared, *STAGING_COLUMNS)

    @property
    def common_fields(self) -> dict[str, str]:
        """Common field -> type, custom ones among them; what `from` under `write:` may name."""
        custom = {name: field.custom for name, field in (*self.read.items(), *self.write.items()) if field.custom}
        return {**ENTITIES[self.entity], **WRITE_BACK.get(self.entity, {}), **custom}

    @property
    def hash(self) -> str:
        """SHA-256 of the content: comments, order of keys and the file's place do not count."""
        return content_hash(self.model_dump(mode="json", by_alias=True))

    @property
    def sent_nulls(self) -> frozenset[str]:
        """Native fields that are written as null where they have no value (`when_null: send`)."""
        return frozenset(name for name, field in self.write.items() if field.when_null == "send")

    def where(self, *place: str | int) -> str:
        """`file:line` of a part, or of the nearest part around it that has one."""
        for end in range(len(place), -1, -1):
            if line := self._lines.get(place[:end]):
                return f"{self._file}:{line}"
        return self._file or f"{self.system}/{self.entity}"


_NO_COLUMN = StagedColumn(path="", type="text")


def mappings_hash(mappings: Iterable[Mapping]) -> str:
    """SHA-256 over all of them, whatever their order."""
    return content_hash(sorted((mapping.system, mapping.entity, mapping.hash) for mapping in mappings))


def masters(crm: Mapping, ledger: Mapping) -> dict[str, Literal["crm", "finance"]]:
    """Master of each common field that both sides read and at least one side names a master for."""
    found: dict[str, Literal["crm", "finance"]] = {}
    for name in crm.read.keys() & ledger.read.keys():
        master = crm.read[name].master or ledger.read[name].master
        if master:
            found[name] = master
    return dict(sorted(found.items()))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'Amount'?` or nothing."""
    names = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(str(name).lower(), list(names), n=1, cutoff=0.6)
    return f"; did you mean '{names[close[0]]}'?" if close else ""


def problems(mapping: Mapping) -> Iterator[tuple[Place, str]]:
    """(place, what is wrong) for names that do not exist and settings that do not fit."""
    if mapping.entity not in ENTITIES:
        yield ("entity",), f"unknown entity '{mapping.entity}'{did_you_mean(mapping.entity, ENTITIES)}"
        return
    for name in mapping.staged:
        if not name.isidentifier() or name != name.lower() or name.startswith("_"):
            yield ("staged", name), f"'{name}' is no column name: expected small letters, digits and _, found '{name}'"
    if mapping.key is None and mapping.modified is not None:
        yield ("modified",), "'modified' without 'key': an entity without a key is not staged"
    if mapping.each is not None and mapping.staged.get(mapping.each, _NO_COLUMN).type != "json":
        yield ("each",), f"'each' names '{mapping.each}': expected a staged column of type json"
    common = mapping.common_fields
    above: list[str] = []
    for name, field in mapping.read.items():
        if name not in ENTITIES[mapping.entity] and field.custom is None:
            hint = did_you_mean(name, common) or "; a field of your own needs 'custom: <type>'"
            yield ("read", name), f"unknown field '{name}' of {mapping.entity}{hint}"
        yield from _field_problems(("read", name), field, (*mapping.columns, *above), "column")
        above.append(name)
    for name, field in mapping.write.items():
        yield from _field_problems(("write", name), field, tuple(common), "field")


def _field_problems(place: Place, field: FieldMapping, known: Sequence[str], word: str) -> Iterator[tuple[Place, str]]:
    from tieout.mapping.transforms import TRANSFORMS  # imports pandas; a DAG file may import this module

    for name in field.source:
        if name not in known:
            yield (*place, "from"), f"unknown {word} '{name}'{did_you_mean(name, known)}"
    if not field.source and field.value is None and field.link is None:
        yield place, f"'{place[-1]}' needs 'from', 'value' or 'link'"
    if field.link and (field.source or field.value is not None):
        yield (*place, "link"), "'link' stands alone, without 'from' and 'value'"
    if field.transform and (field.value is not None or field.link):
        yield (*place, "transform"), "a constant takes no 'transform'"
    if len(field.source) > 1 and not field.transform and field.value is None:
        yield (*place, "from"), "several columns need a 'transform' that joins them"
    if field.when_longer and field.max_length is None:
        yield (*place, "when_longer"), "'when_longer' without 'max_length'"
    if field.settings and not field.transform:
        yield (*place, "with"), "'with' without 'transform'"
    if field.transform is None:
        return
    transform = TRANSFORMS.get(field.transform)
    if transform is None:
        hint = did_you_mean(field.transform, TRANSFORMS)
        yield (*place, "transform"), f"unknown transform '{field.transform}'{hint}"
        return
    for key, message in transform.problems(len(field.source), field.settings):
        yield (*place, "with", key) if key else (*place, "transform"), message
