"""What a run leaves behind: its schema, written and read."""
