"""Images: where they come from, what is taken of them, and their geometry."""
