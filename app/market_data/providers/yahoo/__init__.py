"""Yahoo Finance by yfinance: the fallback, free and without a login, with prices that may be late.

`source.py` is the interface. It loads `charts.py` (yfinance, pandas) and `session.py` (curl) with
the first request, so that an application without Yahoo does not load them.
"""

from app.market_data.providers.yahoo.source import YahooSource

__all__ = ["YahooSource"]
