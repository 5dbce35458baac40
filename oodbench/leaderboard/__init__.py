"""Build the leaderboard from the records and scores of runs, never by hand."""
