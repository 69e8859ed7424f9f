"""Benchmarks: ratios taken in one run on one machine. `make bench` prints them as one table."""
