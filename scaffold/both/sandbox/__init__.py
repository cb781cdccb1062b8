"""New System's API, played: see README.md."""
