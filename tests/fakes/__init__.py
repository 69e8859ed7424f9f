"""Local servers that speak the protocols of the outside, and misbehave when told to."""
