"""The artifact store, default folders, and checked files."""
