"""Watchlists: the lists of symbols that users keep."""
