"""The simulator that tests the posting protocol: seeded schedules of faults around the production code."""
