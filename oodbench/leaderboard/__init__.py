"""The leaderboard, built from the records and scores of runs, never by hand."""
