"""One run, from request to files."""
