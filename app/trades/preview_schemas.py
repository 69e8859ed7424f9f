"""The request and the response of a preview."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field

from app.domain.errors import PaperTradingError
from app.domain.fill_profile import FillProfile
from app.domain.money import ZERO
from app.domain.order import OrderType
from app.domain.preview import OrderWarning, WarningCode
from app.domain.side import TradeType
from app.trades.detail_views import QuoteView
from app.trades.preview import Preview
from app.web.schemas import Money, ResponseModel, Symbol, to_json


class ProblemView(ResponseModel):
    """A check that the order fails: the error that creating the trade would return."""

    error: str = Field(
        description="One sentence for a person.",
        examples=["Stop loss 25000.00 must be below the price, which is 24210.55."],
    )
    code: str = Field(
        description="The kind of error, for a program.", examples=["wrong_side_of_price"]
    )
    details: dict[str, Any] = Field(
        description="What the code documents: the field in `param`, what was `given`, and the "
        "nearest legal values `below` and `above`.",
        examples=[{"param": "stop_loss", "given": 25_000.0, "price": 24_210.55}],
    )

    @classmethod
    def of(cls, problem: PaperTradingError) -> ProblemView:
        return cls(error=problem.message, code=problem.code, details=to_json(problem.details))


class WarningView(ResponseModel):
    """Something to know before placing the order, which is accepted nevertheless."""

    code: WarningCode = Field(
        description="The kind of warning, for a program.", examples=["no_stop_loss"]
    )
    message: str = Field(
        description="One sentence for a person.",
        examples=["Without a stop-loss nothing limits the loss."],
    )

    @classmethod
    def of(cls, warning: OrderWarning) -> WarningView:
        return cls(code=warning.code, message=warning.message)


class ChargeView(ResponseModel):
    """One charge of a fill."""

    name: str = Field(description="The name of the charge.", examples=["brokerage"])
    amount: Money = Field(description="Rupees.", examples=[20.0])


class PreviewResponse(ResponseModel):
    """What an order would cost and earn. Nothing is written.

    Amounts that depend on a price are null if the symbol is unknown or has none. The order would
    be accepted now if `problems` is empty.
    """

    portfolio: str = Field(description="The name of its portfolio.", examples=["default"])
    symbol: Symbol | None = Field(
        description="The canonical symbol; null if it is unknown.", examples=["^NSEI"]
    )
    trade_type: TradeType = Field(
        description="BUY earns when the price rises, SELL when it falls.", examples=["BUY"]
    )
    quantity: int = Field(description="The number of units.", examples=[2])
    order_type: OrderType = Field(description="When the order is filled.", examples=["MARKET"])
    queued_for: date | None = Field(
        description="The session that it would wait for, if the market is closed; else null.",
        examples=["2026-11-30"],
    )
    quote: QuoteView | None = Field(description="The last known price; null if there is none.")
    fill_profile: FillProfile = Field(
        description="How it would be filled: the profile of its portfolio.", examples=["plain"]
    )
    touch_fill_pct: int | None = Field(
        description="Per cent: the chance that its limit, or its target, is filled in a minute in "
        "which the price touches it and does not pass it. Null if the profile fills each touch, "
        "or if neither waits.",
        examples=[None],
    )
    entry_price: Money | None = Field(
        description="Rupees at which it is expected to be filled: the price of the quote if it "
        "is filled at once, with the slippage of the profile, else its limit, else its stop price.",
        examples=[24_210.55],
    )
    margin_required: Money | None = Field(
        description="Rupees that it blocks; 0 if it is cancelled at once.", examples=[9_684.22]
    )
    charges: list[ChargeView] = Field(
        description="Each charge of the entry: none, because trades are free of charges.",
        examples=[[]],
    )
    total_charges: Money = Field(description="The sum of the charges in rupees.", examples=[0.0])
    available_margin: Money = Field(
        description="Rupees free for new trades now.", examples=[100_000.0]
    )
    available_margin_after: Money | None = Field(
        description="Rupees free after the order; negative by what is missing.",
        examples=[90_315.78],
    )
    loss_at_stop: Money | None = Field(
        description="Rupees lost if it is filled at `entry_price` and closes at its stop-loss, or "
        "where its trailing stop begins if that is closer. A price that jumps beyond the stop "
        "costs more. Null without a stop on its side.",
        examples=[484.2],
    )
    reward_at_target: Money | None = Field(
        description="Rupees earned if it is filled at `entry_price` and closes at its target; "
        "null without a target on its side.",
        examples=[484.22],
    )
    reward_risk_ratio: float | None = Field(
        description="`reward_at_target` by `loss_at_stop`, to two decimals; null if either is.",
        examples=[1.0],
    )
    break_even_price: Money | None = Field(
        description="Rupees at which it closes without profit or loss.", examples=[24_210.55]
    )
    liquidation_price: Money | None = Field(
        description="Always null: no margin call closes trades, whatever they lose.",
        examples=[None],
    )
    problems: list[ProblemView] = Field(
        description="Every check that it fails, in the order of the checks; the first is the "
        "error of POST /trades/create."
    )
    warnings: list[WarningView] = Field(description="What to know before placing it.")

    @classmethod
    def of(cls, preview: Preview) -> PreviewResponse:
        order, estimate, quote = preview.order, preview.estimate, preview.quote
        ratio = estimate.reward_risk_ratio if estimate else None
        after = preview.available_margin - estimate.margin_required if estimate else None
        return cls(
            portfolio=order.portfolio,
            symbol=preview.symbol,
            trade_type=order.trade_type,
            quantity=order.quantity,
            order_type=order.order_type,
            queued_for=preview.queued_for,
            quote=QuoteView.model_validate(quote) if quote else None,
            fill_profile=preview.fill_profile,
            touch_fill_pct=preview.touch_pct,
            entry_price=estimate.entry_price if estimate else None,
            margin_required=estimate.margin_required if estimate else None,
            charges=[],
            total_charges=ZERO,
            available_margin=preview.available_margin,
            available_margin_after=after,
            loss_at_stop=estimate.loss_at_stop if estimate else None,
            reward_at_target=estimate.reward_at_target if estimate else None,
            reward_risk_ratio=None if ratio is None else round(float(ratio), 2),
            break_even_price=estimate.entry_price if estimate else None,
            liquidation_price=None,
            problems=[ProblemView.of(problem) for problem in preview.problems],
            warnings=[WarningView.of(warning) for warning in preview.warnings],
        )
