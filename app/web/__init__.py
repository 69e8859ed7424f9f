"""What every HTTP route shares: the shape of routes, tokens, errors, limits, health."""
