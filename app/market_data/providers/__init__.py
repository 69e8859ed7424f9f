"""Real sources of prices, and the code that makes them dependable."""
