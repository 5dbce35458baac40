"""What determines an output: content keys, source code, shipped weights."""
