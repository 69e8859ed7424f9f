"""Requests and responses of watchlists."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from app.domain.watchlist import MAX_LISTS, MAX_NAME, MAX_SYMBOLS, Watchlist
from app.web.schemas import (
    ONE_LINE,
    RequestModel,
    ResponseModel,
    SymbolName,
    Timestamp,
    whole_number,
)

WatchlistName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME), *ONE_LINE
]
Symbols = Annotated[list[SymbolName], Field(max_length=MAX_SYMBOLS)]
ABOUT_NAME = Field(
    description=f"The name. 1 to {MAX_NAME} characters; your other lists have other names.",
    examples=["Banks"],
)
ABOUT_SYMBOLS = Field(
    description=f"The symbols or aliases in their order, at most {MAX_SYMBOLS}. One that is "
    "given twice is in the list once.",
    examples=[["NIFTY", "SBIN.NS"]],
)


class CreateWatchlistRequest(RequestModel):
    name: Annotated[WatchlistName, ABOUT_NAME]
    symbols: Annotated[Symbols, ABOUT_SYMBOLS] = []


class ChangeWatchlistRequest(RequestModel):
    """What is left out stays as it is."""

    name: Annotated[WatchlistName | None, ABOUT_NAME] = None
    symbols: Annotated[Symbols | None, ABOUT_SYMBOLS] = None
    position: Annotated[int, *whole_number(1, MAX_LISTS)] | None = Field(
        default=None, description="The place among your lists, from 1.", examples=[1]
    )


class AddSymbolRequest(RequestModel):
    symbol: SymbolName
    position: Annotated[int, *whole_number(1, MAX_SYMBOLS)] | None = Field(
        default=None,
        description="The place in the list, from 1. If left out, a new symbol comes last, and one "
        "in the list stays where it is.",
        examples=[1],
    )


class WatchlistView(ResponseModel):
    """A list of symbols in an order of the user's own."""

    watchlist_id: str = Field(
        description="The id of the list.", examples=["6744a1f0c2d5e8b7a9f01240"]
    )
    name: str = Field(description="The name.", examples=["Banks"])
    symbols: list[str] = Field(
        description="The canonical symbols in their order.", examples=[["^NSEI", "SBIN.NS"]]
    )
    created_at: Timestamp = Field(description="When it was created, UTC.")
    updated_at: Timestamp = Field(description="When its name or symbols last changed, UTC.")

    @classmethod
    def of(cls, watchlist: Watchlist) -> WatchlistView:
        return cls(
            watchlist_id=watchlist.id,
            name=watchlist.name,
            symbols=list(watchlist.symbols),
            created_at=watchlist.created_at,
            updated_at=watchlist.updated_at,
        )


class WatchlistsResponse(ResponseModel):
    watchlists: list[WatchlistView] = Field(description="Your lists in your order.")
