"""The pure rules of trading: no Flask, no database, no clock, no configuration."""
