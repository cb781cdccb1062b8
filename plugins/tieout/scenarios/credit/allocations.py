"""Invoices whose credits were read at another time than they: what is set against them and what they say do not agree.

A credit that was read before its allocation still shows all that is left of it, its invoice, read after it, is lowered
already: the balance would be too low, and an order would pass that must wait. One statement over both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import text

from tieout.mapping.spec import Mapping as EntityMapping
from tieout.model.standing import DRAFT, OPEN, SETTLED
from tieout.scenarios.services import Services


def disagreements(services: Services, credits: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The ledger's customer id -> (reason, what is wrong), of invoices that do not say what their credits say.

    Args:
        credits: entities with `allocated_to` and `allocated_amounts`.
    """
    ledger = services.ledger
    invoice = ledger.mappings["invoice"]
    number, customer, credited = (_column(invoice, name) for name in ("number", "customer_id", "credited_minor"))
    sales, live = (
        invoice.is_sql(name, *words, table="i")
        for name, words in (("kind", ("invoice",)), ("standing", (DRAFT, OPEN, SETTLED)))
    )
    # Some ledgers say of a kind of credit only what is left of it.
    told = [one for one in (ledger.mappings[entity] for entity in credits) if "allocated_to" in one.read]
    applied = " union all ".join(_applied(one) for one in told)
    with services.engine.connect() as conn:
        found = conn.execute(
            text(
                f"""
                with applied as ({applied}),
                    sums as (select invoice_id, sum(amount) as amount from applied group by 1)
                select i.{customer} as customer, i.{number} as number, i.{credited} as credited, s.amount
                from staging.{invoice.staged_entity().table} i left join sums s on s.invoice_id = i._source_id
                where i._connection = :ledger and not i._deleted and {sales} and {live}
                    and i.{customer} is not null and coalesce(i.{credited}, 0) <> coalesce(s.amount, 0)
                order by i.{customer}, i.{number} desc
                """  # noqa: S608 - names come from the mappings
            ),
            {"ledger": ledger.name},
        )
        return {
            row.customer: (
                "stale_balance",
                f"invoice {row.number}: {row.credited or 0:f} is credited by its own account, "
                f"{row.amount or 0:f} by what is set against it",
            )
            for row in found
        }


def _applied(mapping: EntityMapping) -> str:
    """SQL of (invoice id, amount) of every allocation of one kind of credit."""
    invoice, amount = _path(mapping, "allocated_to"), _path(mapping, "allocated_amounts")
    column = _column(mapping, "allocated_to")
    return f"""
        select a #>> '{invoice}' as invoice_id, cast(a #>> '{amount}' as numeric) as amount
        from staging.{mapping.staged_entity().table} c
        cross join lateral jsonb_array_elements(case jsonb_typeof(c.{column}) when 'array' then c.{column} end) a
        where c._connection = :ledger and not c._deleted
            and {mapping.is_sql("standing", DRAFT, OPEN, SETTLED, table="c")}"""  # noqa: S608 - names come from the mapping


def _path(mapping: EntityMapping, field: str) -> str:
    """PostgreSQL's path of what the mapping takes from each allocation."""
    settings: Mapping[str, object] = mapping.read[field].settings
    return "{" + str(settings["path"]).replace(".", ",") + "}"


def _column(mapping: EntityMapping, field: str) -> str:
    return mapping.read[field].source[0]
