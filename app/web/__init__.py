"""What all HTTP routes share: declaration, tokens, errors, rate limits, health checks."""
