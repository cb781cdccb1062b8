"""The rules of the reconciliation as include/reconciliation/rules.yaml says them: tiers, tolerances, reason codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from tieout.mapping.load import load_yaml
from tieout.model.identity import content_hash
from tieout.model.link import Area, Link, Threshold
from tieout.reconcile.classes import CLASSES

FILE = "reconciliation/rules.yaml"
DEFAULT = "default"
#: What a tier may join by -> the column of recon_a and recon_b (items.py).
KEYS = {
    "mark": "mark", "number": "match_number", "reference": "reference", "customer": "customer",
    "currency": "currency", "amount": "amount",
}  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tier(_Part):
    """One rule; the words are explained in the file."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,60}$")]
    on: tuple[Literal["mark", "number", "reference", "customer", "currency", "amount"], ...]
    shape: tuple[Literal["1:1", "1:N", "N:1", "N:N"], ...]
    amount: Literal["equal", "any"]
    dates: Literal["near", "any"]


class Rules(_Part):
    """The file. `rounding_minor`: greatest difference that counts as rounding."""

    tiers: dict[Area, tuple[Tier, ...]]
    rounding_minor: Annotated[int, Field(ge=0, le=1000)]
    thresholds: dict[str, Threshold]
    reason_codes: dict[str, str]

    def for_link(self, link: Link) -> Rules:
        """With the link's own thresholds in place of the file's."""
        return self.model_copy(update={"thresholds": {**self.thresholds, **link.reconciliation.thresholds}})

    @property
    def hash(self) -> str:
        """SHA-256 of the content; with the link's settings it says by which rules a report was made."""
        return content_hash(self.model_dump(mode="json"))

    def threshold(self, class_: str) -> Threshold:
        """What holds for a class."""
        return self.thresholds.get(class_, self.thresholds[DEFAULT])


def load_rules(include: Path) -> Rules:
    """The rules below `include`.

    Raises:
        ConfigurationFault: with file:line of each fault.
    """
    return load_yaml(include / FILE, Rules, _problems)


def rules_hash(rules: Rules, link: Link) -> str:
    """What stands on the report: the rules, and the link's settings that change what a report says."""
    settings = link.reconciliation.model_dump(mode="json", exclude={"notify", "whole_read_hours"})
    return content_hash([rules.hash, settings, link.tolerances.model_dump(mode="json")])


def check_link(link: Link, rules: Rules) -> list[str]:
    """What of a link's own thresholds names no class."""
    return [f"reconciliation.thresholds: unknown class '{name}'; expected one of {', '.join(CLASSES)}"
            for name in link.reconciliation.thresholds if name not in CLASSES and name != DEFAULT]  # fmt: skip


def _problems(rules: Rules) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for area, tiers in rules.tiers.items():
        names = [tier.name for tier in tiers]
        for number, tier in enumerate(tiers):
            place = ("tiers", area, number)
            if names.index(tier.name) != number:
                yield place, f"two tiers of {area} are named '{tier.name}'"
            if not tier.on or not tier.shape:
                yield place, "a tier needs something to join on, and a shape"
            if "amount" in tier.on and tier.shape != ("1:1",):
                yield place, "a tier that joins on the amount has the shape 1:1: amounts of groups are compared as sums"
    if DEFAULT not in rules.thresholds:
        yield ("thresholds",), f"expected a threshold named '{DEFAULT}'"
    for name in rules.thresholds:
        if name not in CLASSES and name != DEFAULT:
            yield ("thresholds", name), f"unknown class '{name}'; expected one of {', '.join(CLASSES)}"


AREAS: tuple[str, ...] = get_args(Area)
