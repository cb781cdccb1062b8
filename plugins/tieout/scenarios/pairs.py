"""What a link asks for that its two systems cannot do, found from declarations before anything is read or posted.

A pair of systems has no code of its own. Each connector declares what it can (connectors/capabilities.py), each mapping
folder what it has; a policy that needs more is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tieout.connectors.capabilities import Capabilities
from tieout.model.errors import ConfigurationFault
from tieout.model.link import Link

#: What no link can do without in its ledger.
LEDGER_ENTITIES = (
    "account", "invoice", "invoice_line", "credit_memo", "payment", "product", "currency", "tax_rate", "organisation",
)  # fmt: skip

#: What the CRM's mappings must have for a flow to run.
SCHEDULE_ENTITIES = {
    "returns": ("return_order", "return_order_line"), "product_sync": ("product", "price", "price_book"),
    "credit_sync": ("credit",),
}  # fmt: skip
#: What the CRM's mappings must have for an area to be tied out.
AREA_ENTITIES = {
    "credit_memos": ("return_order", "return_order_line", "return_order_status"), "balances": ("credit",),
    "credit": ("credit",), "prices": ("price", "price_book", "product"), "stock": ("product",),
}  # fmt: skip


def check(
    link: Link, crm: Capabilities, ledger: Capabilities, crm_entities: Collection[str], ledger_entities: Collection[str]
) -> None:
    """Refuses what cannot be done.

    Args:
        crm_entities, ledger_entities: those that have a mapping.

    Raises:
        ConfigurationFault: with all that stands in the way, a sentence each.
    """
    found = [*_roles(link, crm, ledger), *_ledger(link, ledger), *_entities(link, crm_entities, ledger_entities)]
    if found:
        raise ConfigurationFault(f"link {link.name}: {'; '.join(found)}")


def _roles(link: Link, crm: Capabilities, ledger: Capabilities) -> Iterator[str]:
    for setting, can in (("crm_system", crm), ("ledger_system", ledger)):
        role = setting.partition("_")[0]
        if can.role != role:
            yield f"{setting}: expected a {role}, found {can.system}, which is a {can.role}"


def _ledger(link: Link, ledger: Capabilities) -> Iterator[str]:
    system = ledger.system
    if link.policies.invoice_status == "draft" and not ledger.drafts:
        yield f"policies.invoice_status: draft, and invoices of {system} are in the books at once; set authorised"
    if link.returns.of_paid == "refund" and "refunds.create" not in ledger.operations:
        yield (
            f"returns.of_paid: refund, and the connector of {system} cannot pay a credit back: set leave_open (finance "
            "refunds it there) or hold"
        )
    fixed = link.policies.invoice_number.replace("{number}", "")
    if ledger.number_length is not None and len(fixed) >= ledger.number_length:
        yield (
            f"policies.invoice_number: {len(fixed)} characters beside the record's number, and {system} takes "
            f"{ledger.number_length} in all"
        )


def _entities(link: Link, crm: Collection[str], ledger: Collection[str]) -> Iterator[str]:
    wanted = {
        "order_activated": ("order", "order_line", "order_status"),
        "opportunity_won": ("opportunity", "opportunity_line", "opportunity_status"),
    }[link.policies.trigger]
    for entity in (*wanted, "account"):
        if entity not in crm:
            yield f"policies.trigger: {link.policies.trigger} needs {entity}; {link.crm_system} has no mapping for it"
    for flow, needed in SCHEDULE_ENTITIES.items():
        if getattr(link.schedules, flow) is not None and (missing := [one for one in needed if one not in crm]):
            yield f"schedules.{flow}: {link.crm_system} has no mapping for {', '.join(missing)}"
    for area in link.reconciliation.areas:
        if missing := [entity for entity in AREA_ENTITIES.get(area, ()) if entity not in crm]:
            yield (
                f"reconciliation.areas: {area} needs {', '.join(missing)}; {link.crm_system} has no mapping for it: "
                "leave the area out"
            )
    for entity in LEDGER_ENTITIES:
        if entity not in ledger:
            yield f"{link.ledger_system} has no mapping for {entity}"
    unknown = sorted(set(link.objects) - set(crm) - set(ledger))
    if unknown:
        yield f"objects: {', '.join(unknown)}: no mapping has it"
