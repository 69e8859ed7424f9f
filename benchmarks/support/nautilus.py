"""nautilus_trader's backtest engine with resting orders, through its public classes."""

from __future__ import annotations

import itertools
import time
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

PRICE = Decimal(25_000)
NANOSECONDS = 1_000_000_000


class _Resting(Strategy):
    """Orders 10 to 30 % below and above the price, as the trades of the other side have levels."""

    def __init__(self, instrument: Any, count: int) -> None:
        super().__init__()
        self._instrument = instrument
        self._count = count

    def on_start(self) -> None:
        for number in range(self._count):
            is_buy = number % 2 == 0
            distance = PRICE / 10 + number
            order = self.order_factory.limit(
                self._instrument.id,
                OrderSide.BUY if is_buy else OrderSide.SELL,
                self._instrument.make_qty(1),
                self._instrument.make_price(PRICE - distance if is_buy else PRICE + distance),
            )
            self.submit_order(order)


class NautilusEngine:
    """One instrument with resting orders that no tick reaches."""

    def __init__(self, orders: int) -> None:
        self.version = version("nautilus_trader")
        self._time = itertools.count(NANOSECONDS, NANOSECONDS)
        self._instrument = TestInstrumentProvider.equity(symbol="SHARE", venue="XNAS")
        self._engine = BacktestEngine(
            config=BacktestEngineConfig(
                logging=LoggingConfig(bypass_logging=True),
                # Otherwise it lets 100 orders a second pass.
                risk_engine=RiskEngineConfig(bypass=True),
            )
        )
        self._engine.add_venue(
            venue=Venue("XNAS"),
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            starting_balances=[Money(1_000_000_000, USD)],
        )
        self._engine.add_instrument(self._instrument)
        self._engine.add_strategy(_Resting(self._instrument, orders))
        self.microseconds_a_tick(10)
        if (resting := len(self._engine.cache.orders_open())) != orders:
            raise RuntimeError(f"{resting} orders rest, not {orders}")

    def microseconds_a_tick(self, count: int) -> float:
        """Run the engine over so many ticks; return the mean time of one."""
        self._engine.clear_data()
        self._engine.add_data([self._tick(number) for number in range(count)])
        began = time.perf_counter()
        self._engine.run(streaming=True)
        return (time.perf_counter() - began) / count * 1e6

    def _tick(self, number: int) -> Any:
        at = next(self._time)
        price = self._instrument.make_price(PRICE + Decimal(number % 2))
        size = self._instrument.make_qty(1_000)
        return QuoteTick(self._instrument.id, price, price, size, size, at, at)
