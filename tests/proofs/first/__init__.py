"""The first proofs of systems that were begun by `make new-connector`: `test_<name>.py` with its link beside it."""
