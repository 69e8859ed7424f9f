"""The registry of instruments, and the sync that fills it."""
