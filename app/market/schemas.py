"""Requests and responses of the market routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import Field

from app.domain.candle import Candle, Interval
from app.domain.quote import Source
from app.market_data.calendar import SessionKind
from app.market_data.feeds.scenarios import Scenario, ScenarioKind
from app.market_data.feeds.simulated_hours import time_at
from app.market_data.instruments.registry import Instrument
from app.web.schemas import (
    AmountsIfKnown,
    CountIfKnown,
    Money,
    PageSize,
    RequestModel,
    ResponseModel,
    Symbol,
    TextIfKnown,
    Timestamp,
    TimestampParam,
    choice,
)


class SymbolsQuery(RequestModel):
    q: Annotated[str, Field(max_length=100)] = Field(
        default="",
        description="A symbol, name, common short name or ISIN, or parts of them, in any order "
        "and case. One typo in a word of four letters or more is tolerated. If left out, "
        "every symbol.",
        examples=["rel"],
    )
    limit: PageSize | None = Field(
        default=None,
        description="The maximum number of symbols. If left out, all of them.",
        examples=[10],
    )


class SymbolView(ResponseModel):
    symbol: Symbol
    name: str = Field(
        description="The name of the index or company.", examples=["Reliance Industries"]
    )
    exchange: str = Field(description="The exchange: NSE or BSE.", examples=["NSE"])
    tick_size: Money = Field(
        description="The smallest step of its price in rupees.", examples=[0.05]
    )
    lot_size: int = Field(description="The number of units in one lot.", examples=[1])
    freeze_quantity: CountIfKnown = Field(
        description="The most that one order may have; absent if unknown.", examples=[100_000]
    )
    isin: TextIfKnown = Field(
        description="The international number of the share; absent if unknown.",
        examples=["INE002A01018"],
    )
    sector: TextIfKnown = Field(
        description="The sector of the company in the classification of NSE Indices; absent if "
        "unknown.",
        examples=["Oil Gas & Consumable Fuels"],
    )
    weights: AmountsIfKnown = Field(
        description="Per cent of each index that has the share, by the symbol of the index, "
        "rounded; absent if unknown.",
        examples=[{"^NSEI": 8.4, "^BSESN": 9.89}],
    )

    @classmethod
    def of(cls, instrument: Instrument) -> SymbolView:
        company = instrument.company
        known: dict[str, Any] = (
            {"isin": company.isin, "sector": company.sector, "weights": company.weights}
            if company
            else {}
        )
        return cls(
            symbol=instrument.symbol,
            name=instrument.name,
            exchange=instrument.exchange,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            freeze_quantity=instrument.freeze_quantity,
            **known,
        )


class SymbolsResponse(ResponseModel):
    symbols: list[SymbolView] = Field(description="The symbols; of a search the best match first.")

    @classmethod
    def of(cls, instruments: Iterable[Instrument]) -> SymbolsResponse:
        return cls(symbols=[SymbolView.of(instrument) for instrument in instruments])


class MarketStatusResponse(ResponseModel):
    """The state of the exchanges. Trades are refused while they are closed only if `enforced`.

    After `holidays_known_until` every weekday counts as a session.
    """

    open: bool = Field(description="Whether the exchanges accept orders now.", examples=[True])
    session: SessionKind = Field(description="The phase of the trading day.", examples=["regular"])
    session_date: date | None = Field(
        description="The day of the current session in India; null while closed.",
        examples=["2026-11-27"],
    )
    occasion: str | None = Field(
        description="The name of a special session, otherwise null.", examples=["Muhurat trading"]
    )
    next_open: Timestamp = Field(
        description="When the exchanges next open, UTC.", examples=["2026-11-30T03:45:00.000Z"]
    )
    next_close: Timestamp = Field(
        description="When the exchanges next close, UTC.", examples=["2026-11-27T10:00:00.000Z"]
    )
    enforced: bool = Field(
        description="Whether this server rejects orders while the exchanges are closed.",
        examples=[False],
    )
    exchanges: list[str] = Field(
        description="The exchanges these hours apply to.", examples=[["NSE", "BSE"]]
    )
    timezone: str = Field(description="The time zone of the exchanges.", examples=["Asia/Kolkata"])
    holidays_known_until: date = Field(
        description="The last day whose holidays are known.", examples=["2026-12-31"]
    )


class HistoryQuery(RequestModel):
    # Other APIs use 1M for a month.
    interval: Annotated[Interval, choice(Interval, as_written={"1M"})] = Field(
        Interval.FIVE_MINUTES, description="The length of one candle.", examples=["5m"]
    )
    since: Annotated[
        TimestampParam | None,
        Field(
            alias="from",
            description="The first candle begins at or after this time: ISO 8601 (UTC without a "
            "zone), a date (midnight in India), or seconds since 1970. Default: 500 candles "
            "before the end.",
            examples=["2026-11-27T03:45:00Z"],
        ),
    ] = None
    until: Annotated[
        TimestampParam | None,
        Field(
            alias="to",
            description="The last candle begins before this time, in the format of `from`. "
            "Default: now, or the time that a recording has reached.",
            examples=["2026-11-27T10:00:00Z"],
        ),
    ] = None


class CandleView(ResponseModel):
    """One candle. The last of a list may still be forming. `volume` is absent if unknown."""

    time: Timestamp = Field(description="When the candle begins, UTC.")
    open: Money = Field(description="The first price in rupees.", examples=[24_200.1])
    high: Money = Field(description="The highest price in rupees.", examples=[24_231.4])
    low: Money = Field(description="The lowest price in rupees.", examples=[24_188.75])
    close: Money = Field(description="The last price in rupees.", examples=[24_210.55])
    volume: CountIfKnown = Field(description="The units traded in it.", examples=[18_250])


class HistoryResponse(ResponseModel):
    """The candles of one symbol."""

    symbol: Symbol
    interval: Interval = Field(description="The length of one candle.", examples=["5m"])
    source: Source | None = Field(
        description="The source of the candles; null if there are none.", examples=["mock"]
    )
    candles: list[CandleView] = Field(description="At most 1,000 candles, oldest first.")

    @classmethod
    def of(cls, symbol: str, interval: Interval, candles: Sequence[Candle]) -> HistoryResponse:
        return cls(
            symbol=symbol,
            interval=interval,
            source=candles[-1].source if candles else None,
            candles=[CandleView.model_validate(candle) for candle in candles],
        )


class ScenarioRequest(RequestModel):
    scenario: Annotated[ScenarioKind, choice(ScenarioKind)] = Field(
        description="The scenario to start.", examples=["crash"]
    )


class ScenarioResponse(ResponseModel):
    scenario: ScenarioKind = Field(description="The scenario that starts.", examples=["crash"])
    starts_at: Timestamp = Field(description="When it begins, UTC.")
    ends_at: Timestamp = Field(description="When it is over, UTC.")

    @classmethod
    def of(cls, scenario: Scenario) -> ScenarioResponse:
        return cls(
            scenario=scenario.kind,
            starts_at=time_at(scenario.starts),
            ends_at=time_at(scenario.ends),
        )
