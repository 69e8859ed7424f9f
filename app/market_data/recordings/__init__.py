"""Recordings of markets: their format, how they are read, written, and made of candles."""
