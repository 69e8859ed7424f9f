"""Angel One's SmartAPI: sign-in, quotes and candles over REST, ticks over a WebSocket."""
