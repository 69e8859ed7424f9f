"""Prices and symbols, and alerts on them."""
