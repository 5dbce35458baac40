"""Hand a run over as one file, and verify such a file without trusting it."""
