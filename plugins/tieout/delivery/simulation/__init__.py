"""The simulator that tests the posting protocol: seeded schedules of faults around the production code of delivery.

The code that delivers in production runs against a real PostgreSQL and a ledger in memory, in virtual time. A schedule
is a function of its seed; the same seed gives the same timeline, on every machine.

plan.py         a schedule as data: records, runs, and what strikes when
seeds.py        the plan of a seed
faults.py       which faults there are, where they can strike, where not and why
operations.py   the writes that the ledger takes, one for each class of guard
ledger.py       the vendor: a ledger in memory with every guard, and what networks do; documents.py: what it keeps
client.py       the ledger as one worker speaks to it
clock.py        virtual time: the true one, the database's, those of processes
workers.py      competing workers, one of them running at a time
acts.py         what the source and people do meanwhile
facts.py        facts that go back with a confirmation
world.py        what the parts of one play share
player.py       plays a plan
oracle.py       books of its own, and the invariants at the vendor's door
rows.py, invariants.py, outcome.py    what the store holds, and what must hold of it
lab.py          a database for plays
coverage.py     how often each fault met each place
minimise.py     makes a failing plan small
run.py          many schedules, over processes

Not simulated, because no protocol can promise it: a pause between the last check and the socket that is longer than the
lease (docs/delivery.md), and a step of the database's clock while bytes may be on their way. Real processes, real
kills, a real network: the tests of chaos.
"""
