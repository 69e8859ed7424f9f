"""Providers: outside sources of prices, and what makes them dependable."""
