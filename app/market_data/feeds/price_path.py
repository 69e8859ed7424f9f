"""The walk of one simulated instrument: its price now, and its candles."""

from __future__ import annotations

import math
import random
import threading
import time
from decimal import Decimal

from app.domain.money import to_paisa
from app.market_data.course import Run
from app.market_data.feeds.bars import Bar, BarLog, join
from app.market_data.feeds.simulated_past import Past

# The standard deviation of one step's return. It is what an index with a yearly volatility of
# 15 % shows in 10 s: 0.15 / sqrt(252 trading days x 2,250 steps a day).
STEP_VOLATILITY = 0.0002
# Steps taken at a stretch, some 10 ms, by a walk that was not asked for a long time.
STRETCH = 5_000


class PricePath:
    """A random walk, taken as far as it was asked for. Any thread may ask."""

    def __init__(
        self,
        draw: random.Random,
        past_key: str,
        tick_size: Decimal,
        price: float,
        *,
        step_seconds: float,
        step: int,
        zero: float,
    ) -> None:
        """Be at `price` (rupees) in `step`, and draw every later step.

        Here and below, `zero` is when the market was in step 0, in seconds from MIDNIGHT.
        """
        self._draw = draw
        self._tick_size = tick_size
        self._tick = float(tick_size)
        self._step_seconds = step_seconds
        self._lock = threading.Lock()
        self._log = BarLog()
        self._step = step
        self._minute = self._minute_at(step, zero)
        self._open = self._high = self._low = self._log_price = math.log(price)
        self._past = Past(past_key, self._log_price, self._minute)

    def follow(self, run: Run, step_seconds: float) -> None:
        """Take the steps of a run that is over; then keep to a pace of `step_seconds`."""
        with self._lock:
            self._step_seconds = run.step_seconds
            self._advance(run.last_step, run.zero)
            self._step_seconds = step_seconds

    def price_at(self, step: int, zero: float) -> Decimal:
        """Return the price (rupees) at a step, or at the latest that was asked for."""
        with self._lock:
            self._advance(step, zero)
            return self.rupees(self._ticks(self._log_price))

    def rupees(self, ticks: int) -> Decimal:
        """Return a price that is given in ticks."""
        return to_paisa(ticks * self._tick_size)

    def continue_from(self, price: Decimal, step: int, zero: float) -> None:
        """Be at `price` (rupees) in `step`. The steps that nobody asked for are left out."""
        with self._lock:
            self._step = max(step, self._step)
            self._be_at(self._logarithm(price), self._minute_at(self._step, zero))

    def spans(self, minutes: int, first: int, last: int, step: int, zero: float) -> list[Bar]:
        """Return the spans of `minutes` that began from `first` to before `last`, up to `step`.

        What was walked is told as it was; before that, the past. Where the log has forgotten
        a part, nothing from before it is told, so that there is no hole.
        """
        with self._lock:
            self._advance(step, zero)
            walked = self._log.spans(minutes, first, last)
            if first <= self._minute < last:
                walked.append(self._span())
            past = None if self._log.has_forgotten(minutes) else self._past
        if past is None:
            return join(walked, minutes)
        before = [
            Bar(span.minute, *map(self._ticks, span[1:]))
            for span in past.spans(minutes, first, last)
        ]
        return join(before + walked, minutes)

    def _advance(self, step: int, zero: float) -> None:
        while self._step < step:
            self._take_steps(min(step, self._step + STRETCH), zero)
            if self._step < step:
                # Whoever else waits for this process comes first.
                time.sleep(0)

    def _take_steps(self, goal: int, zero: float) -> None:
        gauss = self._draw.gauss
        while self._step < goal:
            self._step += 1
            price = self._log_price + gauss(0, STEP_VOLATILITY)
            self._be_at(price, self._minute_at(self._step, zero))
            # The rest of the minute, without asking for the minute at each step.
            rest = min(goal, self._last_step_in(self._minute, zero)) - self._step
            high, low = self._high, self._low
            for _ in range(rest):
                price += gauss(0, STEP_VOLATILITY)
                if price > high:
                    high = price
                elif price < low:
                    low = price
            self._log_price, self._high, self._low = price, high, low
            self._step += max(rest, 0)

    def _be_at(self, log_price: float, minute: int) -> None:
        # After a clock was set back, prices belong to the minute that it was, until it is later.
        if minute > self._minute:
            self._log.add(self._span())
            self._minute = minute
            self._open = self._high = self._low = log_price
        self._log_price = log_price
        self._high = max(self._high, log_price)
        self._low = min(self._low, log_price)

    def _span(self) -> Bar:
        return Bar(
            self._minute, *map(self._ticks, (self._open, self._high, self._low, self._log_price))
        )

    def _minute_at(self, step: int, zero: float) -> int:
        return math.floor((zero + step * self._step_seconds) / 60)

    def _last_step_in(self, minute: int, zero: float) -> int:
        return math.ceil(((minute + 1) * 60 - zero) / self._step_seconds) - 1

    def _logarithm(self, price: Decimal) -> float:
        return math.log(max(price, self._tick_size))

    def _ticks(self, log_price: float) -> int:
        return max(round(math.exp(log_price) / self._tick), 1)
