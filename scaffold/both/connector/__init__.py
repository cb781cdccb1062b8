"""New System's API. README.md says how to set a real account up and what was checked against what."""
