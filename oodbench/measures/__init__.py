"""Compute metrics and statistics: pure functions of arrays of scores."""
