"""What a named transform is, and the table of them. The transforms themselves are in transforms.py and its neighbours.

A transform gets Series of equal index and its settings, and gives a Series and the problems: a text for each row that
cannot go on, null elsewhere. It never evaluates anything that a file says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tieout.model.link import Link

if TYPE_CHECKING:
    import pandas as pd


class Settings(BaseModel):
    """What stands under `with:`; each transform that takes settings declares its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Result:
    """What a transform made.

    Attributes:
        values: on the index of the inputs.
        problems: text for each row that is rejected, null elsewhere; None when there is none.
        notes: text for each row whose characters were changed for the vendor's sake; None when there is none.
    """

    values: pd.Series[Any]
    problems: pd.Series[Any] | None = None
    notes: pd.Series[Any] | None = None


Function = Callable[[Sequence["pd.Series[Any]"], Any, Link | None], Result]


@dataclass(frozen=True, slots=True)
class Transform:
    """One entry of the table.

    Attributes:
        inputs: least and greatest number of columns it takes.
        settings: the class of its `with`.
        reason: stable code of the rejections; `reason_of` may refine it.
        remedy: what a person does about a rejection.
    """

    name: str
    function: Function
    inputs: tuple[int, int]
    settings: type[Settings]
    reason: str
    expected: str
    remedy: str
    doc: str

    def parse(self, given: Mapping[str, Any]) -> Settings:
        """The settings as their class. Raises pydantic's ValidationError; load.py has refused such files before."""
        return self.settings.model_validate(dict(given))

    def problems(self, inputs: int, given: Mapping[str, Any]) -> Iterator[tuple[str | None, str]]:
        """(setting or None, what is wrong) for a use of this transform in a mapping file."""
        from tieout.mapping.spec import did_you_mean

        low, high = self.inputs
        if not low <= inputs <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            yield None, f"transform '{self.name}' takes {wanted} column(s), found {inputs}"
        known = list(self.settings.model_fields)
        try:
            self.parse(given)
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                key = str(fault["loc"][0]) if fault["loc"] else None
                if fault["type"] == "extra_forbidden":
                    hint = did_you_mean(str(key), known)
                    yield key, f"transform '{self.name}' has no setting '{key}'{hint}"
                elif fault["type"] == "missing":
                    yield None, f"transform '{self.name}' needs the setting '{key}'"
                else:
                    yield key, f"setting '{key}' of transform '{self.name}': {fault['msg']}"


TRANSFORMS: dict[str, Transform] = {}


def transform(
    name: str,
    *,
    inputs: int | tuple[int, int] = 1,
    settings: type[Settings] = Settings,
    reason: str = "",
    expected: str = "",
    remedy: str = "correct the record at its source",
) -> Callable[[Function], Function]:
    """Enters a function into the table under `name`; its docstring's first line is what the documentation shows."""

    def enter(function: Function) -> Function:
        if name in TRANSFORMS:
            raise ValueError(f"two transforms are named {name!r}")
        bounds = inputs if isinstance(inputs, tuple) else (inputs, inputs)
        doc = (function.__doc__ or "").strip().splitlines()[0]
        TRANSFORMS[name] = Transform(name, function, bounds, settings, reason or f"not_{name}", expected, remedy, doc)
        return function

    return enter


class Unacceptable(ValueError):
    """Raised by a function over single values: `str()` of it says what was expected."""


def each(values: pd.Series[Any], function: Callable[[Any], Any], *, dtype: Any = "string") -> Result:
    """Applies a function to each different value once; nulls stay null, `Unacceptable` becomes a problem."""
    import pandas as pd

    codes, uniques = pd.factorize(values)
    made: list[Any] = []
    wrong: list[str | None] = []
    for unique in uniques:
        try:
            made.append(function(unique))
            wrong.append(None)
        except Unacceptable as error:
            made.append(None)
            wrong.append(str(error))
    out = pd.Series([*made, None], dtype=dtype).take(codes)
    out.index = values.index
    if not any(wrong):
        return Result(out)
    problems = pd.Series([*wrong, None], dtype="string").take(codes)
    problems.index = values.index
    return Result(out, problems)
