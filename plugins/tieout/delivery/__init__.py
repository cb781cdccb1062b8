"""The posting protocol of docs/delivery.md: a document is posted exactly once, or a person knows why not.

intents.py      planning: add, cancel, supersede
claim.py        taking work: claims, leases, fences, the mark before a send
deliver.py      the entry: one call delivers what can be delivered now
worker.py       the loop of one worker, and the only place from which a vendor is written
session.py      that worker's database session: bounds, the lock of the one poster
judge.py        what an answer or a look-up means (pure)
settle.py       the confirming transaction
states.py       the state machine and its audit rows
families.py     children of failed parents
people.py       what a person may do
counts.py       how many stand where, for one delivery
uncertain.py    what is uncertain, held or refused, over all links: for people and metrics
letters.py      dead letters of delivery
bodies.py, clock.py, limits.py, transaction.py    bytes, time, bounds, one transaction

What docs/delivery.md leaves open is decided so:
- A look-up leases the UNKNOWN intent without changing its state, so that a worker that dies in it leaves it UNKNOWN.
- READY always means that nothing is applied. Only where the vendor guards nothing (Guard.LOOK_UP) is a READY intent
  looked up before its first send.
- The quiet period of a lost worker's intent begins at the last moment at which that worker could have sent (end of its
  lease less the time-out), not at `sent_at`.
- A refusal as a duplicate goes to UNKNOWN and is looked up after the look-up lag; it never becomes READY by itself.
- An operation that is `repeatable` (an update) and found with other content was not applied and is sent again; any
  other is HELD.
- A later revision of the same kind and source record waits for the earlier one.
"""
