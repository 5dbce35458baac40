"""Tables of the records of runs: pure functions of records and scores."""
