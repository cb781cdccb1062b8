"""The planted bugs; importing this registers them all, see planting.py."""

from tests.mutants.bugs import holding, identity, keeping, meaning

__all__ = ["holding", "identity", "keeping", "meaning"]
