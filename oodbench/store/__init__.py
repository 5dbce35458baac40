"""Where everything is kept: artifacts by content key, folders, files that are checked."""
