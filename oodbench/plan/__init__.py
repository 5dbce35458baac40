"""A request as jobs with content keys: pure functions, nothing is run."""
