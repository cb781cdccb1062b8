"""Customers for the documents of a run: links accounts to the ledger's customers, plans those that are to be created.

The rules are in customers.py; here they meet the staged rows, the crosswalk and the intents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text

from tieout.delivery.bodies import placeholder
from tieout.delivery.intents import NewIntent
from tieout.mapping.payload import bodies
from tieout.model.identity import doc_uid, idempotency_key
from tieout.scenarios.billing import Hold, Row
from tieout.scenarios.customers import Linked, Verdict, match
from tieout.scenarios.frames import common_rows, native_frame
from tieout.scenarios.quarantine import hold_of
from tieout.scenarios.services import Services
from tieout.scenarios.successors import Successor, standing_for, successors
from tieout.store import aliases
from tieout.store.crosswalk import NewLink

KIND = "customer"


@dataclass(frozen=True, slots=True)
class Party:
    """The customer that a document is billed to: known by its ledger id, or by the intent that will create it."""

    vendor_id: str | None
    doc_uid: str

    def reference(self) -> str:
        """What stands in a body for the customer's id; a pending one is filled in when its intent is confirmed."""
        return self.vendor_id or placeholder(self.doc_uid)


@dataclass(frozen=True)
class Customers:
    """Verdicts for some accounts, and what has to be written to make them true."""

    parties: Mapping[str, Party | Hold]
    links: Sequence[NewLink] = ()
    intents: Sequence[NewIntent] = ()
    accounts: Mapping[str, Row] = field(default_factory=dict)


class CustomerBook:
    """Reads both systems' customers once a run, and only when an account is met that is not linked yet."""

    def __init__(self, services: Services, run_id: UUID) -> None:
        self._services = services
        self._run_id = run_id
        self._object = services.crm.mappings["account"].object
        self._population: list[dict[str, object]] | None = None
        self._customers: list[dict[str, object]] = []
        self._unreadable: dict[str, Hold] = {}
        self._planned: dict[str, Party | Hold] = {}
        self._merged: dict[str, Successor] | None = None

    def plan(self, account_ids: Collection[str], quarantined: Mapping[str, str]) -> Customers:
        """Parties for these accounts.

        Args:
            account_ids: the CRM's ids.
            quarantined: account id -> reason, of accounts that the checks stopped.
        """
        wanted = {account_id for account_id in account_ids if account_id not in self._planned}
        parties = self._known(wanted)
        for account_id in wanted & quarantined.keys():
            parties[account_id] = Hold(
                "customer_quarantined", f"its account {account_id} is in quarantine: {quarantined[account_id]}",
                "an account that passes its checks", quarantined[account_id], "mend the account in the CRM",
            )  # fmt: skip
        # A document may still name an account that was merged into another one.
        now = {account_id: self._successor(account_id) for account_id in wanted - parties.keys()}
        links, intents = self._resolve(sorted(set(now.values()) - parties.keys() - self._planned.keys()), parties)
        for account_id, successor in now.items():
            parties[account_id] = parties.get(successor) or self._planned[successor]
        self._planned.update(parties)
        return Customers(
            parties={account_id: self._planned[account_id] for account_id in account_ids}, links=links, intents=intents
        )

    def uid(self, account_id: str) -> str:
        """The customer's doc_uid; a customer is created at most once, so there is one revision."""
        link = self._services.link
        return doc_uid(link.name, link.crm, self._object, account_id, KIND, 1)

    def _successor(self, account_id: str) -> str:
        one = self.merges().get(account_id)
        return account_id if one is None else one.account_id

    def merges(self) -> Mapping[str, Successor]:
        """See successors.successors; read once."""
        if self._merged is None:
            self._merged = successors(self._services)
        return self._merged

    def _known(self, wanted: set[str]) -> dict[str, Party | Hold]:
        """Parties of these accounts, or of those that they continue."""
        merged = {id_: one for id_ in wanted if (one := self.merges().get(id_)) is not None}
        there = self._there(wanted.union(*((one.account_id, *one.formers) for one in merged.values())))
        parties = {id_: there[id_] for id_ in wanted if id_ in there}
        for id_, one in merged.items():
            party = None if id_ in parties else self._continued(one, there)
            if party is not None:
                parties[id_] = party
        return parties

    def _continued(self, one: Successor, there: Mapping[str, Party | Hold]) -> Party | Hold | None:
        """The customer of the accounts that became this one; None where they had none."""
        ids = (one.account_id, *one.formers)
        customers = {id_: party.vendor_id for id_ in ids if isinstance(party := there.get(id_), Party)}
        if not customers:
            return None
        chosen = standing_for(one, customers)
        if chosen is None:
            with self._services.engine.connect() as conn:
                approved = aliases.resolve(conn, self._services.link.name, "account").get(one.account_id)
            chosen = next((id_ for id_, customer in customers.items() if customer == approved), None)
        if chosen is not None:
            return there[chosen]
        link, listed = self._services.link.name, ", ".join(str(customer) for customer in customers.values())
        return Hold(
            "merged_customers", f"account {one.account_id} was merged of accounts with customers of their own",
            "one certain customer", listed,
            f"merge the customers in the ledger, and choose: `tieout alias approve {link} account {one.account_id} "
            "LEDGER_ID --by NAME`",
        )  # fmt: skip

    def _there(self, wanted: set[str]) -> dict[str, Party | Hold]:
        """Parties that are in the crosswalk, or whose intent is on its way or was stopped."""
        link = self._services.link
        parties: dict[str, Party | Hold] = {}
        arguments = {"target": link.ledger, "source": link.crm, "object": self._object, "ids": sorted(wanted)}
        with self._services.engine.connect() as conn:
            for row in conn.execute(
                text(
                    "select source_id, state, reason, message from tieout.intent "
                    "where target = :target and source = :source and source_object = :object "
                    "and kind = 'customer' and revision = 1 and source_id = any(:ids)"
                ),
                arguments,
            ):
                parties[row.source_id] = self._stopped(row) or Party(None, self.uid(row.source_id))
            for row in conn.execute(
                text(
                    "select source_id, vendor_id, doc_uid from tieout.crosswalk "
                    "where target = :target and source = :source and source_object = :object and source_id = any(:ids)"
                ),
                arguments,
            ):
                parties[row.source_id] = Party(row.vendor_id, row.doc_uid)
        return parties

    def _stopped(self, row: Row | object) -> Hold | None:
        state = row.state  # type: ignore[union-attr]  # a Row of SQLAlchemy
        if state not in ("REJECTED", "HELD", "CANCELLED"):
            return None
        return Hold(
            "customer_not_posted", f"its customer could not be created: {row.reason}: {row.message}",  # type: ignore[union-attr]
            "a customer in the ledger", state, "mend the account in the CRM, or approve a customer for it",
        )  # fmt: skip

    def _resolve(
        self, account_ids: Sequence[str], parties: dict[str, Party | Hold]
    ) -> tuple[list[NewLink], list[NewIntent]]:
        if not account_ids:
            return [], []
        population = self._read()
        by_id = {str(row["account_id"]): row for row in population}
        for account_id in account_ids:
            if account_id not in by_id:
                parties[account_id] = self._unreadable.get(account_id) or Hold(
                    "unknown_customer", f"account {account_id} is not in the CRM", "an account that exists", account_id,
                    "set the right account in the CRM",
                )  # fmt: skip
        judged = [by_id[account_id] for account_id in account_ids if account_id in by_id]
        verdicts = self._match(judged, population)
        links: list[NewLink] = []
        create: list[Row] = []
        for row in judged:
            account_id, verdict = str(row["account_id"]), verdicts[str(row["account_id"])]
            if isinstance(verdict, Hold):
                parties[account_id] = verdict
            elif isinstance(verdict, Linked):
                parties[account_id] = Party(verdict.ledger_id, self.uid(account_id))
                links.append(self._link(account_id, verdict))
            else:
                create.append(row)
        return links, self._create(create, parties)

    def _match(self, judged: Sequence[Row], population: Sequence[Row]) -> dict[str, Verdict]:
        link = self._services.link
        with self._services.engine.connect() as conn:
            taken = {
                row.vendor_id: row.source_id
                for row in conn.execute(
                    text(
                        "select vendor_id, source_id from tieout.crosswalk "
                        "where target = :target and entity = 'account'"
                    ),
                    {"target": link.ledger},
                )
            }
            approved = aliases.resolve(conn, link.name, "account")
        create = link.policies.unmatched_customer == "create"
        return match(judged, self._customers, population=population, taken=taken, approved=approved, create=create)

    def _read(self) -> Sequence[Row]:
        if self._population is None:
            self._population, rejections = common_rows(self._services, self._services.crm, "account")
            self._customers, _ = common_rows(self._services, self._services.ledger, "account")
            for rejection in rejections:
                self._unreadable[rejection.source_id] = Hold(
                    "customer_unreadable", f"its account cannot be mapped: {rejection.message}",
                    rejection.expected, rejection.found, rejection.remedy,
                )  # fmt: skip
        return self._population

    def _link(self, account_id: str, verdict: Linked) -> NewLink:
        link = self._services.link
        return NewLink(
            link=link.name, target=link.ledger, entity="account", vendor_id=verdict.ledger_id,
            vendor_number=verdict.number, doc_uid=self.uid(account_id), source=link.crm, source_object=self._object,
            source_id=account_id, origin=verdict.origin, evidence=dict(verdict.evidence),
            decided_by=self._services.actor,
        )  # fmt: skip

    def _create(self, accounts: Sequence[Row], parties: dict[str, Party | Hold]) -> list[NewIntent]:
        if not accounts:
            return []
        services, link = self._services, self._services.link
        # The customer code is the CRM's id: the ledger's record can be found again by it (S2), whatever its name.
        common = [
            {**row, "crm_id": row["account_id"], "_key": row["account_id"]} for row in with_people(services, accounts)
        ]
        native, rejections, notes = native_frame(services, services.ledger, "account", common)
        for rejection in rejections:
            parties[rejection.source_id] = hold_of(rejection)
        names = {str(row["name"]).casefold(): str(row["account_id"]) for row in self._customers if row.get("name")}
        mapping = services.ledger.mappings["account"]
        field = next(field for field, spec in mapping.write.items() if spec.source[:1] == ("name",))
        for account_id, name in zip(native["_key"].astype(str), native[field].astype(str), strict=True):
            other = names.setdefault(name.casefold(), account_id)
            if other != account_id:
                parties[account_id] = Hold(
                    "customer_name_taken", f"after mapping its name is {name!r}, which {other} has already",
                    "a name of its own", name, "tell the two apart in the CRM, or approve the customer",
                )  # fmt: skip
        good = native[~native["_key"].isin(list(parties))]
        frozen = {str(note.source_id): note.message for note in notes}
        intents = []
        for key, body in bodies(good, None, None, "_key").items():
            account_id = str(key)
            uid = self.uid(account_id)
            parties[account_id] = Party(None, uid)
            intents.append(
                NewIntent(
                    link=link.name, target=link.ledger, doc_uid=uid, kind=KIND, operation="contacts.create", revision=1,
                    source=link.crm, source_object=self._object, source_id=account_id, natural_key=account_id,
                    source_system=services.crm.system, source_entity="account",
                    idempotency_key=idempotency_key(uid, link.ledger, "contacts.create"), body=body, depends_on=(),
                    currency=None, amount_minor=None, entity="account", owner=link.owners.get("customers", "finance"),
                    frozen={"mapping": services.mapping_hash, "altered": frozen.get(account_id)},
                )
            )  # fmt: skip
        return intents


def with_people(services: Services, accounts: Sequence[Row]) -> list[Row]:
    """The CRM's accounts with name and address of the person who gets the bill: the billing contact, else the first.

    As they are where the CRM's mappings have no contacts: a person's name then stands on the account.
    """
    if "contact" not in services.crm.mappings:
        return list(accounts)
    ids = [str(row["account_id"]) for row in accounts]
    contacts, _ = common_rows(services, services.crm, "contact", parents=ids, parent="account_id")
    people: dict[str, Row] = {}
    for contact in sorted(contacts, key=lambda row: (not row.get("is_billing"), row["contact_id"])):
        people.setdefault(contact["account_id"], contact)
    fields = ("first_name", "last_name", "email")
    return [
        {**row, **{name: people.get(str(row["account_id"]), {}).get(name) or row.get(name) for name in fields}}
        for row in accounts
    ]
