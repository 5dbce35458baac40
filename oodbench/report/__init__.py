"""Turn the records of runs into tables: pure functions of records and scores."""
