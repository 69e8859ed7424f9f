"""Local servers with the protocols of external services, and configurable failures."""
