"""API keys: credentials of bots, which their user creates and deletes."""
