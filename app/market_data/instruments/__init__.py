"""Instruments: which there are, by which names, and where their list comes from."""
