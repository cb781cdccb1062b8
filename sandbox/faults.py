"""The fault plan: which call goes wrong, how, and a log of what did. Seeded, so it can be replayed.

Whether rule k fires at its n-th matching call depends on (seed, k, n) alone. How a fault is made to happen on the wire
is in fault_middleware.py; `item_missing` and `stale_read` are made by the vendor apps, which ask `Faults.take`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

ON_THE_WIRE = frozenset(
    ("lost_request", "lost_answer", "late_apply", "status_429", "error_500", "cut_body", "expired_token", "slow")
)
IN_THE_APP = frozenset(("item_missing", "stale_read"))
MAX_LOG = 10_000  # hits kept; older ones are dropped

_RULE_KEYS = frozenset(("system", "method", "path", "fault", "probability", "after", "times", "params"))


class BadPlan(ValueError):
    """The plan cannot be read; the message says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the plan. `path` is a glob below the system's mount, without the query string."""

    fault: str
    system: str = "*"
    method: str = "*"
    path: str = "*"
    probability: float = 1.0
    after: int = 0
    times: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, system: str, method: str, path: str) -> bool:
        return fnmatchcase(system, self.system) and fnmatchcase(method, self.method) and fnmatchcase(path, self.path)

    def as_json(self) -> dict[str, Any]:
        keys = ("system", "method", "path", "fault", "probability", "after", "times")
        return {key: getattr(self, key) for key in keys} | {"params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Hit:
    """Rule `rule` (its place in the plan) fired at its `match`-th matching call, counted from 1."""

    rule: int
    match: int
    fault: str
    system: str
    method: str
    path: str
    params: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.__slots__} | {"params": dict(self.params)}


def fires(seed: int, rule: int, match: int, probability: float) -> bool:
    """The draw for one match of one rule: the same for the same arguments, on every machine."""
    digest = hashlib.blake2b(f"{seed}:{rule}:{match}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < probability * 2**64


class FaultPlan:
    """The plan in force, the counters of its rules and the log. In memory: a restarted sandbox has no plan."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """No faults, an empty log."""
        self._install(0, ())

    def load(self, plan: object) -> None:
        """Replaces plan, counters and log. Raises BadPlan and changes nothing when the plan cannot be read."""
        if not isinstance(plan, dict):
            raise BadPlan("the plan must be an object with 'seed' and 'rules'")
        unknown = set(plan) - {"seed", "rules"}
        if unknown:
            raise BadPlan(f"unknown key {sorted(unknown)[0]!r}; a plan has 'seed' and 'rules'")
        seed, rules = plan.get("seed", 0), plan.get("rules", [])
        if not isinstance(seed, int) or not isinstance(rules, list):
            raise BadPlan("'seed' must be an integer and 'rules' a list")
        self._install(seed, tuple(_parse(number, rule) for number, rule in enumerate(rules)))

    def _install(self, seed: int, rules: tuple[Rule, ...]) -> None:
        with self._lock:
            self.seed = seed
            self.rules = rules
            self._matches = [0] * len(rules)
            self._hits = [0] * len(rules)
            self._log: list[Hit] = []

    def decide(self, names: frozenset[str], system: str, method: str, path: str) -> Hit | None:
        """Counts the call for every rule of these faults that it matches; the first rule that fires is the answer."""
        if not self.rules:
            return None
        chosen: Hit | None = None
        with self._lock:
            for number, rule in enumerate(self.rules):
                if rule.fault not in names or not rule.matches(system, method, path):
                    continue
                self._matches[number] += 1
                match = self._matches[number]
                if chosen is not None or match <= rule.after:
                    continue
                if rule.times is not None and self._hits[number] >= rule.times:
                    continue
                if fires(self.seed, number, match, rule.probability):
                    self._hits[number] += 1
                    chosen = Hit(number, match, rule.fault, system, method, path, rule.params)
                    self._log.append(chosen)
                    del self._log[:-MAX_LOG]
        return chosen

    def as_json(self) -> dict[str, Any]:
        """The plan with what became of it: {seed, rules: [{..., matches, hits}], hits: [...]} in order of time."""
        with self._lock:
            counts = zip(self.rules, self._matches, self._hits, strict=True)
            rules = [rule.as_json() | {"matches": matches, "hits": hits} for rule, matches, hits in counts]
            return {"seed": self.seed, "rules": rules, "hits": [hit.as_json() for hit in self._log]}


class Faults:
    """The plan as one system sees it; handed to the vendor's create_app."""

    def __init__(self, plan: FaultPlan, system: str) -> None:
        self.plan = plan
        self.system = system

    def take(self, name: str, method: str, path: str) -> Mapping[str, Any] | None:
        """The parameters when this call is to suffer the fault (`item_missing`, `stale_read`), else None."""
        hit = self.plan.decide(frozenset((name,)), self.system, method, path)
        return None if hit is None else hit.params

    def on_the_wire(self, method: str, path: str) -> Hit | None:
        """The wire's fault for this call, if any; for the middleware."""
        return self.plan.decide(ON_THE_WIRE, self.system, method, path)


def _parse(number: int, rule: object) -> Rule:
    where = f"rule {number}"
    if not isinstance(rule, dict):
        raise BadPlan(f"{where}: expected an object")
    unknown = set(rule) - _RULE_KEYS
    if unknown:
        raise BadPlan(f"{where}: unknown key {sorted(unknown)[0]!r}; known are {', '.join(sorted(_RULE_KEYS))}")
    fault = rule.get("fault")
    if fault not in ON_THE_WIRE | IN_THE_APP:
        raise BadPlan(f"{where}: unknown fault {fault!r}; known are {', '.join(sorted(ON_THE_WIRE | IN_THE_APP))}")
    probability, after, times = rule.get("probability", 1), rule.get("after", 0), rule.get("times")
    if not isinstance(probability, int | float | Decimal) or not 0 <= probability <= 1:
        raise BadPlan(f"{where}: 'probability' must be a number from 0 to 1")
    if not isinstance(after, int) or after < 0 or not (times is None or (isinstance(times, int) and times >= 0)):
        raise BadPlan(f"{where}: 'after' must be a whole number, 'times' a whole number or null")
    texts = {key: rule.get(key, "*") for key in ("system", "method", "path")}
    params = rule.get("params", {})
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(params, dict):
        raise BadPlan(f"{where}: 'system', 'method' and 'path' must be texts, 'params' an object")
    texts["method"] = texts["method"].upper()
    return Rule(fault=fault, probability=float(probability), after=after, times=times, params=params, **texts)
