"""Accepted quotes of the records that are judged: what was agreed on is what is billed.

A quote that a check stopped, or that cannot be read, stops its records: they are never billed at other prices instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.frames import common_rows, grouped
from tieout.scenarios.quarantine import hold_of, letters_of, parents_of
from tieout.scenarios.services import Services


@dataclass(frozen=True)
class Quotes:
    """By the id of the order or deal: its accepted quote, that quote's lines, or why it cannot be used."""

    quotes: Mapping[str, Row] = field(default_factory=dict)
    lines: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    stopped: Mapping[str, Hold] = field(default_factory=dict)


def accepted_quotes(services: Services, entity: str, heads: Sequence[Row]) -> Quotes:
    """The accepted quotes of these rows of `order` (by their quote_id) or `opportunity` (by the quote's).

    None where the CRM's mappings have no quotes: what was agreed then stands on the order itself.
    """
    if not {"quote", "quote_line"} <= services.crm.mappings.keys():
        return Quotes()
    if entity == "order":
        records = {row["_source_id"]: row["quote_id"] for row in heads if row.get("quote_id")}
        found, unreadable = common_rows(services, services.crm, "quote", ids=set(records.values()))
    else:
        deals = [row["_source_id"] for row in heads]
        found, unreadable = common_rows(services, services.crm, "quote", parents=deals, parent="opportunity_id")
        records = {row["opportunity_id"]: row["quote_id"] for row in found if row.get("accepted")}
        records |= parents_of(
            services, "quote", "opportunity_id", [item.source_id for item in unreadable], reverse=True
        )
    if not records:
        return Quotes()
    accepted = {row["quote_id"]: row for row in found if row.get("accepted")}
    lines, bad_lines = common_rows(services, services.crm, "quote_line", parents=accepted)
    stopped = {item.source_id: hold_of(item) for item in unreadable}
    stopped |= _quarantined(services, set(records.values()))
    line_parents = parents_of(services, "quote_line", "parent_id", [item.source_id for item in bad_lines])
    stopped |= {line_parents[item.source_id]: hold_of(item) for item in bad_lines if item.source_id in line_parents}
    by_quote = grouped(lines)
    return Quotes(
        quotes={record: accepted[quote] for record, quote in records.items() if quote in accepted},
        lines={record: by_quote.get(quote, []) for record, quote in records.items() if quote in accepted},
        stopped={record: stopped[quote] for record, quote in records.items() if quote in stopped},
    )


def _quarantined(services: Services, quote_ids: Collection[str]) -> dict[str, Hold]:
    stopped = {
        quote_id: _stop(f"its quote {quote_id}", reason)
        for quote_id, reason in letters_of(services, "quote", quote_ids).items()
    }
    bad_lines = letters_of(services, "quote_line", None)
    for line_id, quote_id in parents_of(services, "quote_line", "parent_id", bad_lines).items():
        if quote_id in quote_ids:
            stopped.setdefault(quote_id, _stop(f"line {line_id} of its quote", bad_lines[line_id]))
    return stopped


def _stop(what: str, reason: str) -> Hold:
    return Hold(
        reason, f"{what} is in quarantine: {reason}", "a quote that passes its checks", reason,
        "mend the quote in the CRM; it is checked again when it changes or is replayed",
    )  # fmt: skip
