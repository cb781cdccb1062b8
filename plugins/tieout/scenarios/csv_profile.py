"""What include/csv/<profile>.yaml may say: which file becomes which object of a CRM, column by column. Data only."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tieout.model.errors import ConfigurationFault


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldSpec(_Part):
    """One field of the CRM. Exactly one of column, value, format, ref, standard_price_book says where it comes from.

    Attributes:
        column: the file's column; `type`, `date_format`, `times` (a factor), `words` (the only texts that are known,
            with what stands for them), `required`, `otherwise` (instead of a missing value), `max_length` say how it
            is read.
        value: a constant.
        format: text with `{column}` in it.
        ref: key of another record, with `{column}` in it; `optional` names the column that may be missing.
    """

    column: str | None = None
    value: str | bool | None = None
    format: str | None = None
    ref: str | None = None
    standard_price_book: bool = False
    optional: str | None = None
    type: Literal["text", "decimal", "integer", "date"] = "text"
    date_format: str = "%Y-%m-%d"
    times: Decimal | None = None
    words: dict[str, str] = {}
    required: bool = False
    otherwise: str | None = None
    max_length: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> FieldSpec:
        given = [self.column, self.value, self.format, self.ref, self.standard_price_book or None]
        if sum(1 for one in given if one is not None) != 1:
            raise ValueError("needs exactly one of column, value, format, ref, standard_price_book")
        return self


class Step(_Part):
    """One file that becomes records of one object.

    Attributes:
        key: our key of the record, with `{column}` in it.
        fields: the CRM's field -> where it comes from.
        part_of: key of the record that this one is a part of; a refused part takes the whole with it.
        activate: fields that are set once every step is loaded.
    """

    file: str
    object: str
    key: str
    fields: dict[str, FieldSpec]
    part_of: str | None = None
    activate: dict[str, str] = {}


class Profile(_Part):
    """One kind of CSV folder for one CRM. `missing` are the texts that mean: no value. Steps run in order."""

    name: str
    system: Literal["salesforce", "hubspot"] = "salesforce"
    missing: tuple[str, ...] = ("",)
    encoding: str = "utf-8"
    steps: tuple[Step, ...]


def load_profile(path: Path) -> Profile:
    """Reads one profile.

    Raises:
        ConfigurationFault: the file is missing, no YAML, or says something that a profile does not know.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise ConfigurationFault(f"no profile {path.stem!r}; there are: {known}") from None
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise ConfigurationFault(f"{path.name}:{line}: not YAML: {getattr(error, 'problem', error)}") from None
    try:
        return Profile.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationFault(f"{path.name}: {place}: {first['msg']}") from None
