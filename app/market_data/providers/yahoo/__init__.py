"""Yahoo Finance over yfinance: the fallback, free and without a login, at prices that may be late.

`source.py` is what the program sees. It loads `charts.py` (yfinance, pandas) and `session.py`
(curl) when Yahoo is first asked, so that who does not use Yahoo does not pay for it.
"""

from app.market_data.providers.yahoo.source import YahooSource

__all__ = ["YahooSource"]
