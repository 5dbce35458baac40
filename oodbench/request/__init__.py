"""A user's request, resolved: names to plugins, data sets to images."""
