"""Runs handed over as one file, and verified without trusting it."""
