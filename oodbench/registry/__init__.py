"""Plugins: found, loaded, guarded and looked up by name."""
