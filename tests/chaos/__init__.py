"""Chaos on real processes: what is killed, stopped, cut and filled here is real; see docs/chaos.md."""
