"""What `benchmarks/certify.py` is made of."""
