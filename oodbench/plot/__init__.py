"""Draw figures from finished runs."""
