"""The simulator's ledger and clock under the names that tests know."""

from __future__ import annotations

from tieout.delivery.simulation.clock import VirtualClock as VirtualClock
from tieout.delivery.simulation.faults import LOOK_UP_FAULTS as LOOK_UP_FAULTS
from tieout.delivery.simulation.faults import SEND_FAULTS as SEND_FAULTS
from tieout.delivery.simulation.ledger import MemoryLedger as MemoryLedger
from tieout.delivery.simulation.operations import OPERATIONS as OPERATIONS
