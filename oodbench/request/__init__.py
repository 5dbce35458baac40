"""What a user asks for, resolved: names to plugins, data sets to images."""
