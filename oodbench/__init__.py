"""oodbench."""
