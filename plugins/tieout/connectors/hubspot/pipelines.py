"""Pipelines and their stages: a record only has ids, which differ from portal to portal; people see labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from tieout.connectors.hubspot.objects import OWN_STAGE, PIPED, pipeline_properties
from tieout.connectors.hubspot.sign_in import HubSpotSession
from tieout.model.errors import ConfigurationFault, VendorFault


@dataclass(frozen=True, slots=True)
class Stage:
    """`won`: a closed stage of probability 1; `closed`: nothing follows. As texts, like all values of HubSpot."""

    id: str
    label: str
    won: str
    closed: str

    def as_record(self) -> dict[str, str]:
        """What stands at `stage` of a record."""
        return {"id": self.id, "label": self.label, "won": self.won, "closed": self.closed}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline; `stages` by id."""

    id: str
    label: str
    stages: Mapping[str, Stage]

    def stage(self, label: str) -> Stage | None:
        """The stage of this label or id, whatever its letters' case."""
        words = label.strip().lower()
        return next((one for one in self.stages.values() if words in (one.id.lower(), one.label.lower())), None)


@dataclass(slots=True)
class Pipelines:
    """The pipelines of one portal, read when they are first needed and kept as long as the connector."""

    session: HubSpotSession
    _by_object: dict[str, dict[str, Pipeline]] = field(default_factory=dict)

    def of(self, object_name: str) -> Mapping[str, Pipeline]:
        """The object's pipelines by id."""
        if object_name not in self._by_object:
            results = self.session.get(f"/crm/v3/pipelines/{object_name}").get("results")
            if not isinstance(results, list):
                raise VendorFault(f"{self.session.name}: the pipelines of {object_name} have no results")
            self._by_object[object_name] = {str(one["id"]): _pipeline(one) for one in results}
        return self._by_object[object_name]

    def find(self, object_name: str, name: str) -> Pipeline:
        """The pipeline with this id or label. Raises ConfigurationFault when there is not just one."""
        every = self.of(object_name)
        if name in every:
            return every[name]
        found = [one for one in every.values() if one.label.strip().lower() == name.strip().lower()]
        if len(found) != 1:
            labels = ", ".join(one.label for one in every.values()) or "none"
            raise ConfigurationFault(
                f"{self.session.name}: expected one pipeline of {object_name} with the id or label {name!r},"
                f" found {len(found)} (there are: {labels}); make it in HubSpot, or correct the mapping's object"
            )
        return found[0]

    def stage_of(self, object_name: str, properties: Mapping[str, Any]) -> Stage | None:
        """The stage that a record is in; None where its pipeline does not have it (any more)."""
        if object_name not in PIPED:
            label = properties.get(OWN_STAGE)
            return Stage(str(label), str(label), "false", "false") if label else None
        names = pipeline_properties(object_name)
        pipeline = self.of(object_name).get(str(properties.get(names[0])))
        return pipeline.stages.get(str(properties.get(names[1]))) if pipeline else None


def _pipeline(found: Mapping[str, Any]) -> Pipeline:
    stages = [_stage(one) for one in found.get("stages") or []]
    return Pipeline(str(found["id"]), str(found.get("label") or ""), {one.id: one for one in stages})


def _stage(found: Mapping[str, Any]) -> Stage:
    meta = found.get("metadata") or {}
    closed = str(meta.get("isClosed") or "").lower() == "true" or str(meta.get("ticketState") or "") == "CLOSED"
    try:
        certain = Decimal(str(meta.get("probability") or "0")) == 1
    except InvalidOperation:
        certain = False
    # A deal's stage is closed when its probability is 0 or 1; not every portal says isClosed.
    won = certain and (closed or "isClosed" not in meta)
    return Stage(str(found["id"]), str(found.get("label") or ""), str(won).lower(), str(closed or won).lower())
