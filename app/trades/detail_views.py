"""A trade in responses, with its evidence: every fill and the quote that caused it."""

from __future__ import annotations

from pydantic import Field

from app.domain.fill import ExitReason, FillKind, FillRule
from app.domain.quote import Source
from app.domain.triggers import SettledFrom
from app.models import Trade
from app.trades.current_prices import CurrentPrices
from app.trades.trailing_schemas import PricePointView
from app.trades.views import TradeView
from app.web.schemas import Money, ResponseModel, Timestamp


class QuoteView(ResponseModel):
    """The quote that opened or closed a trade."""

    price: Money = Field(description="The price in rupees.", examples=[24_210.55])
    source: Source = Field(description="The source of the price.", examples=["mock"])
    timestamp: Timestamp = Field(description="When the source made it, UTC.")


class FillView(ResponseModel):
    """One execution of a trade: its price, the rule that set it, and the quote that caused it."""

    kind: FillKind = Field(description="Whether it opened or closed.", examples=["exit"])
    quantity: int = Field(description="The number of units.", examples=[2])
    price: Money = Field(description="The price of the fill, in rupees.", examples=[24_452.65])
    time: Timestamp = Field(description="When it was written, UTC.")
    quote: QuoteView = Field(description="The quote that caused it.")
    rule: FillRule | None = Field(
        description="The rule that set the price: at the quote (`market`), at the tick that "
        "reached the stop (`stop`), at the limit or target itself (`limit`), at the first price of "
        "a session that opened beyond it (`opening`), or at the level that a candle reached while "
        "the server was away (`candle`). Null for a trade of an earlier version.",
        examples=["limit"],
    )
    reason: ExitReason | None = Field(
        description="Why it was closed; null for an entry.", examples=["target"]
    )
    pnl: Money | None = Field(
        description="The realized profit in rupees, a loss is negative; null for an entry.",
        examples=[484.2],
    )
    settled_from: SettledFrom | None = Field(
        description="How a fill missed at its time was found later; else null.", examples=["gap"]
    )
    best: PricePointView | None = Field(
        description="The best price that the trailing stop had followed; null for other fills."
    )


class TradeDetail(TradeView):
    """A trade and its evidence: every fill with the quote that caused it."""

    entry_quote: QuoteView | None = Field(
        description="The quote that opened the trade; null until its entry is filled."
    )
    exit_quote: QuoteView | None = Field(
        description="The quote that caused the last exit; null before the first."
    )
    fills: list[FillView] = Field(description="Every execution, in order: the entry, then exits.")

    @classmethod
    def of_one(cls, trade: Trade, prices: CurrentPrices | None) -> TradeDetail:
        fills = trade.fills
        quotes = {fill.kind: QuoteView.model_validate(fill.quote) for fill in fills}
        return cls(
            **TradeView.of(trade, prices).model_dump(mode="python"),
            entry_quote=quotes.get(FillKind.ENTRY),
            exit_quote=quotes.get(FillKind.EXIT),
            fills=[FillView.model_validate(fill) for fill in fills],
        )
