"""The files that a run leaves: their schema, written and read."""
