"""The requests and responses of the reports on trades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import Field, RootModel

from app.domain.money import to_paisa
from app.domain.statistics import DayResult, Results, Statistics
from app.models import Trade
from app.trades.schemas import StatusFilter
from app.trades.views import TradeView
from app.web.csv_format import format_row
from app.web.schemas import Money, ResponseModel, SeasonQuery, Symbol, SymbolFilter

NOT_EXPORTED = {
    *("user_id", "exit_queued"),
    *("last_price", "price_time", "stale", "best_price", "trailing_stop", "unrealized_pnl"),
}


class ExportQuery(SeasonQuery):
    status: StatusFilter = None
    symbol: SymbolFilter = None


class TradesCsv(RootModel[str]):
    """A header, and one row for each trade, oldest first.

    The columns have the names and values of a TradeView, without `user_id`, `exit_queued`, and what
    depends on the current price: `last_price`, `price_time`, `stale`, `best_price`,
    `trailing_stop`, `unrealized_pnl`. Null is an empty cell. A text that a spreadsheet would run as
    a formula begins with an apostrophe.
    """

    @staticmethod
    def stream(batches: Iterable[Iterable[Trade]]) -> Iterator[str]:
        """Yield the header, and the rows of each batch."""
        names = [name for name in TradeView.model_fields if name not in NOT_EXPORTED]
        yield format_row(names)
        for trades in batches:
            views = map(TradeView.of, trades)
            yield "".join(format_row(getattr(view, name) for name in names) for view in views)


class ResultsView(ResponseModel):
    """The results of closed trades. A trade exited in parts is one trade."""

    closed_trades: int = Field(description="The number of closed trades.", examples=[4])
    winning_trades: int = Field(description="Those with a profit.", examples=[3])
    losing_trades: int = Field(
        description="Those with a loss. A trade that earned exactly 0 is neither.", examples=[1]
    )
    win_rate_pct: float | None = Field(
        description="The winning trades in per cent of all closed ones; null without any.",
        examples=[75.0],
    )
    gross_profit: Money = Field(description="The sum of all profits, in rupees.", examples=[584.3])
    gross_loss: Money = Field(
        description="The sum of all losses, in rupees: negative, or 0.", examples=[-100.0]
    )
    profit_factor: float | None = Field(
        description="The gross profit divided by the size of the gross loss; null without a loss.",
        examples=[5.843],
    )
    expectancy: Money | None = Field(
        description="The average profit or loss of a closed trade, to the paisa; null without any.",
        examples=[121.08],
    )
    average_win: Money | None = Field(
        description="The average profit of a winning trade, to the paisa; null without any.",
        examples=[194.77],
    )
    average_loss: Money | None = Field(
        description="The average loss of a losing trade, to the paisa: negative; null without any.",
        examples=[-100.0],
    )
    largest_win: Money | None = Field(
        description="The largest profit of one trade, in rupees; null without any.",
        examples=[300.0],
    )
    largest_loss: Money | None = Field(
        description="The largest loss of one trade, in rupees: negative; null without any.",
        examples=[-100.0],
    )


class SymbolTotal(ResponseModel):
    symbol: Symbol
    pnl: Money = Field(
        description="The sum of their profits and losses, in rupees.", examples=[484.3]
    )


class SymbolResults(ResultsView, SymbolTotal):
    """The results of the closed trades of one symbol."""


class DayResults(ResponseModel):
    """What was realized on one day in India."""

    day: date = Field(description="The day in India.", examples=["2026-11-27"])
    pnl: Money = Field(
        description="The profit of all exits of the day, in rupees, those of parts included.",
        examples=[38.9],
    )
    closed_trades: int = Field(description="The trades that closed on it.", examples=[2])
    winning_trades: int = Field(description="Those with a profit.", examples=[1])

    @classmethod
    def of(cls, result: DayResult) -> DayResults:
        return cls(
            day=result.day,
            pnl=result.pnl,
            closed_trades=result.trades,
            winning_trades=result.winners,
        )


class StatisticsResponse(ResultsView):
    """The results of trading in a season. Deposits and withdrawals are no profit or loss."""

    total_pnl: Money = Field(
        description="Realized profit in rupees, exited parts of open trades included.",
        examples=[484.3],
    )
    longest_winning_streak: int = Field(
        description="The most winning trades in a row, in the order of their exits.", examples=[2]
    )
    longest_losing_streak: int = Field(description="The most losing trades in a row.", examples=[1])
    current_streak: int = Field(
        description="The last trades in a row with the same sign: positive if they won, negative "
        "if they lost, 0 after a trade that earned exactly 0.",
        examples=[-1],
    )
    max_drawdown: Money = Field(
        description="The largest fall of the realized profit from an earlier high (0 at the "
        "start), in rupees: negative, or 0.",
        examples=[-100.0],
    )
    max_drawdown_pct: float | None = Field(
        description="The largest fall, in per cent, of the compounded returns of all exits from an "
        "earlier high: negative, or 0. A return is the profit divided by the balance before it. "
        "Null if an exit followed the loss of the whole balance.",
        examples=[-0.1],
    )
    sharpe_ratio: float | None = Field(
        description="The mean of the daily returns divided by their standard deviation, times the "
        "root of 252, without a risk-free rate. The days are those of the exchanges from the "
        "first exit on, and others with exits; a return is the day's profit divided by the balance "
        "before it plus the day's deposits. Null for fewer than two days, or without differences.",
        examples=[1.84],
    )
    by_symbol: list[SymbolResults] = Field(
        description="The results of each symbol, in alphabetical order."
    )
    by_day: list[DayResults] = Field(description="The days with exits, oldest first.")

    @classmethod
    def of(cls, statistics: Statistics) -> StatisticsResponse:
        streaks, drawdown = statistics.streaks, statistics.drawdown
        return cls(
            **_fields(statistics.results),
            total_pnl=statistics.realized_pnl,
            longest_winning_streak=streaks.winning,
            longest_losing_streak=streaks.losing,
            current_streak=streaks.current,
            max_drawdown=drawdown.amount,
            max_drawdown_pct=None if drawdown.pct is None else round(drawdown.pct, 4),
            sharpe_ratio=_ratio(statistics.sharpe_ratio),
            by_symbol=[
                SymbolResults(symbol=symbol, pnl=results.pnl, **_fields(results))
                for symbol, results in statistics.by_symbol.items()
            ],
            by_day=[DayResults.of(result) for result in statistics.by_day],
        )


def _fields(results: Results) -> dict[str, Any]:
    """Return the fields of a ResultsView."""
    win_rate = results.win_rate_pct
    return {
        "closed_trades": results.trades,
        "winning_trades": results.winners,
        "losing_trades": results.losers,
        "win_rate_pct": None if win_rate is None else round(float(win_rate), 2),
        "gross_profit": results.gross_profit,
        "gross_loss": results.gross_loss,
        "profit_factor": _ratio(results.profit_factor),
        "expectancy": _paise(results.expectancy),
        "average_win": _paise(results.average_win),
        "average_loss": _paise(results.average_loss),
        "largest_win": results.largest_win,
        "largest_loss": results.largest_loss,
    }


def _ratio(value: Decimal | float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _paise(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else to_paisa(amount)
