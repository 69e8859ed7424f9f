"""A trade in responses, with its evidence: every fill and the quote that caused it."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from app.domain.corporate_actions import ActionKind, Adjustment
from app.domain.fill import ExitReason, FillKind, FillRule
from app.domain.fill_profile import FillProfile
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
        "a session that opened beyond it (`opening`), at the price of the closing auction "
        "(`auction`), or at the level that a candle reached while the server was away (`candle`). "
        "Null for a trade of an earlier version.",
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
    profile: FillProfile = Field(description="The fill profile of the trade.", examples=["plain"])
    slippage: Money = Field(
        description="Rupees by which the profile made the price worse than that of the quote.",
        examples=[0.0],
    )
    seed_index: int | None = Field(
        default=None,
        description="The number of the trade in its portfolio, of which its random numbers are "
        "made; null with the plain profile, which has none.",
        examples=[17],
    )


class AdjustmentView(ResponseModel):
    """What a corporate action changed about a trade. Quantities are what it held, or ordered."""

    kind: ActionKind = Field(description="The corporate action.", examples=["bonus"])
    ex_date: date = Field(description="Its ex-date.", examples=["2026-12-01"])
    ratio: str | None = Field(
        description="The ratio of a split or a bonus, else null.", examples=["1:1"]
    )
    amount: Money | None = Field(
        description="Rupees of a dividend for each unit, else null.", examples=[18.5]
    )
    quantity_before: int = Field(description="The units before it.", examples=[100])
    quantity: int = Field(description="The units after it.", examples=[200])
    entry_price_before: Money | None = Field(
        description="The entry price before it, in rupees; null for an order.", examples=[1_400.0]
    )
    entry_price: Money | None = Field(
        description="The entry price after it, in rupees; null for an order.", examples=[700.0]
    )
    pnl: Money = Field(description="Rupees that it booked.", examples=[0.0])
    time: Timestamp = Field(description="When it was applied, UTC.")

    @classmethod
    def of(cls, adjustment: Adjustment) -> AdjustmentView:
        names = set(cls.model_fields) - {"ratio"}
        ratio = str(adjustment.ratio) if adjustment.ratio else None
        return cls(ratio=ratio, **{name: getattr(adjustment, name) for name in names})


class TradeDetail(TradeView):
    """A trade and its evidence: every fill with the quote that caused it."""

    entry_quote: QuoteView | None = Field(
        description="The quote that opened the trade; null until its entry is filled."
    )
    exit_quote: QuoteView | None = Field(
        description="The quote that caused the last exit; null before the first."
    )
    fills: list[FillView] = Field(description="Every execution, in order: the entry, then exits.")
    adjustments: list[AdjustmentView] = Field(
        description="What splits, bonuses and dividends changed, in order."
    )

    @classmethod
    def of_one(cls, trade: Trade, prices: CurrentPrices | None) -> TradeDetail:
        fills = trade.fills
        index = trade.number if trade.model else None
        quotes = {fill.kind: QuoteView.model_validate(fill.quote) for fill in fills}
        return cls(
            **TradeView.of(trade, prices).model_dump(mode="python"),
            entry_quote=quotes.get(FillKind.ENTRY),
            exit_quote=quotes.get(FillKind.EXIT),
            fills=[
                FillView.model_validate(fill).model_copy(update={"seed_index": index})
                for fill in fills
            ],
            adjustments=[AdjustmentView.of(each) for each in trade.adjustments],
        )
