"""Fill profiles: how far the fills of a trade are from the plain rules of orders and brackets.

`plain` is those rules. With `realistic`, what is filled at market pays half the spread, and a limit
that the price only touches may be left waiting: others were in the queue before it. `harsh` adds
late orders, limits that fill in parts, and orders that the broker rejects.

Nothing here has a state. A random number is a hash of the seed of the trade and of what is decided,
so that a retry, a restart, another process and the candles of a gap decide the same. What happens
to a limit is decided once a minute, which is what a candle tells.

Prices are rupees. The side of an execution is +1 for one that buys, -1 for one that sells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from hashlib import blake2b

from app.domain.money import is_price
from app.domain.quote import Quote


class FillProfile(StrEnum):
    PLAIN = "plain"
    REALISTIC = "realistic"
    HARSH = "harsh"


class RejectCode(StrEnum):
    """Why a broker rejects an order that is in order: the codes of Angel One's SmartAPI."""

    # "Something Went Wrong, Please Try After Sometime"
    AB1004 = "ab1004"
    # "AMX Error", of the system that passes orders on to the exchange
    AB1007 = "ab1007"
    # "Internal Error, Please Try After Sometime"
    AB2001 = "ab2001"


@dataclass(frozen=True, slots=True)
class Odds:
    """What a profile leaves to chance. Probabilities are percent."""

    # That a limit fills which the price touches and does not pass.
    touched: int
    # That the broker rejects an order.
    rejected: int = 0
    # By how many ticks the price has moved against an order when it arrives, each as likely.
    latency: tuple[int, ...] = (0,)
    # What percentage a touched limit or target fills of what is ordered or held, each as likely.
    parts: tuple[int, ...] = (100,)


ODDS: Mapping[FillProfile, Odds] = {
    FillProfile.REALISTIC: Odds(touched=50),
    FillProfile.HARSH: Odds(touched=50, rejected=2, latency=(1, 2, 3), parts=(25, 50, 75, 100)),
}
_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Slippage:
    """By how many rupees a fill is worse than the price of its quote, and why.

    `spread` is that of the quote, None if it has none. `latency` is ticks. `bound` is a price that
    the fill is not worse than: a limit, or the band of the day.
    """

    amount: Decimal
    spread: Decimal | None
    latency: int
    bound: Decimal | None


@dataclass(frozen=True, slots=True)
class FillModel:
    """How the fills of one trade differ from the plain rules; a plain trade has none.

    It is fixed when the order is placed. `tick_size` and `lot_size` are those of the instrument,
    `slippage_bps` hundredths of a percent of the price.
    """

    profile: FillProfile
    seed: str
    tick_size: Decimal
    lot_size: int
    slippage_bps: Decimal

    @property
    def odds(self) -> Odds:
        return ODDS[self.profile]

    def rejection(self) -> RejectCode | None:
        """Return why the broker rejects the order, None if it accepts it."""
        if self._draw("reject") % 100 >= self.odds.rejected:
            return None
        codes = tuple(RejectCode)
        return codes[self._draw("reject code") % len(codes)]

    def fills_touched(self, limit: str, time: datetime) -> bool:
        """Return whether a limit is filled that the price touched in the minute of `time`."""
        return self._draw("touch", limit, _minute(time)) % 100 < self.odds.touched

    def part_touched(self, limit: str, time: datetime, quantity: int) -> int:
        """Return how many units of a touched limit are filled: whole lots, at least one."""
        parts = self.odds.parts
        percent = parts[self._draw("part", limit, _minute(time)) % len(parts)]
        lots = max(quantity * percent // 100 // self.lot_size, 1)
        return min(lots * self.lot_size, quantity)

    def of_rest(self) -> FillModel:
        """Return the model of the rest of an order that was filled in part.

        Its seed follows from this one's, so that the same prices fill the rest in the same parts.
        """
        return replace(
            self, seed=blake2b(b"rest", digest_size=8, key=self.seed.encode()).hexdigest()
        )

    def fill(
        self, quote: Quote, side: int, execution: str, limit: Decimal | None = None
    ) -> tuple[Decimal, Slippage]:
        """Return the price of an execution at `quote`, and its slippage.

        `limit` is that of its order, if it has one.
        """
        details = quote.details
        bid, ask = details.bid, details.ask
        spread = ask - bid if bid is not None and ask is not None and ask >= bid else None
        band = details.upper_band if side > 0 else details.lower_band
        bounds = [side * bound for bound in (limit, band) if bound is not None]
        bound = side * min(bounds) if bounds else None
        latency = self.latency(execution)
        price = self.price(quote.price, side, spread, latency, bound)
        return price, Slippage(side * (price - quote.price), spread, latency, bound)

    def latency(self, execution: str) -> int:
        """Return by how many ticks the price moves before an execution takes place."""
        ticks = self.odds.latency
        return ticks[self._draw("latency", execution) % len(ticks)]

    def price(
        self,
        quoted: Decimal,
        side: int,
        spread: Decimal | None,
        latency: int,
        bound: Decimal | None,
    ) -> Decimal:
        """Return the price of a fill that was quoted at a price: worse by its slippage.

        The parameters are as in Slippage. It is rounded to the tick against the user, never better
        than the quote, and no worse than its bound if the quote was not.
        """
        half = quoted * self.slippage_bps / _BPS if spread is None else spread / 2
        ticks = (side * quoted + half) / self.tick_size
        ticks = ticks.to_integral_value(ROUND_CEILING) + latency
        # Compared as a buyer does: the higher, the worse.
        worse = ticks * self.tick_size
        if bound is not None:
            worse = max(min(worse, side * bound), side * quoted)
        price = side * worse
        return price if is_price(price) else quoted

    def _draw(self, *index: str) -> int:
        """Return a number of 64 random bits, the same for the same index."""
        key = self.seed.encode()
        digest = blake2b("/".join(index).encode(), digest_size=8, key=key).digest()
        return int.from_bytes(digest)


def trade_seed(seed: str, user_id: str, portfolio: str, number: int) -> str:
    """Return the seed of the trade with a number in a portfolio, of the seed of the server."""
    index = "\0".join((seed, user_id, portfolio, str(number)))
    return blake2b(index.encode(), digest_size=8).hexdigest()


def is_same_minute(first: datetime, second: datetime) -> bool:
    """Return whether two times are in one minute, for which a limit is decided once."""
    return _minute(first) == _minute(second)


def _minute(time: datetime) -> str:
    return str(int(time.timestamp()) // 60)
