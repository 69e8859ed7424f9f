"""Trades: an entry order and the bracket it opens, with an owner, a number and a status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from bson import ObjectId

from app.database import Document, collection
from app.database.hints import use_index
from app.domain.bounds import Bounds
from app.domain.bracket import Bracket
from app.domain.corporate_actions import Adjusted, Adjustment
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import Exit, Fill
from app.domain.fill_profile import FillModel
from app.domain.money import ZERO
from app.domain.order import Order
from app.domain.placement import Placement
from app.domain.side import TradeType
from app.domain.trade import EndReason, Modified, TradeStatus, Transition
from app.domain.trailing import TrailingStop
from app.models.opened_terms import read_opened_as
from app.models.paging import newest_first, windows_to_end
from app.models.trade_adjustments import (
    average_price,
    bracket_before,
    margin_share,
    read_adjustments,
)
from app.models.trade_document import (
    placement_fields,
    read_bracket,
    read_last_exit,
    read_order,
    read_partial_exits,
)
from app.models.trade_fills import entry_fill, exit_fill
from app.models.trigger_index import TriggerIndex
from app.models.widening import Widening

BY_NUMBER = ("user_id", "portfolio_id", "status", "number")
INDEX = TriggerIndex("trades", below="trigger_below", above="trigger_above")


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. `number` counts the trades of its portfolio from 1; `margin_used` is rupees.

    `portfolio` is the name of the portfolio, which never changes. `order` is None for a market
    order that was filled at once, `bracket` for an entry that was not filled.
    """

    id: ObjectId
    user_id: str
    portfolio_id: ObjectId
    portfolio: str
    number: int
    symbol: str
    order: EntryOrder | None
    bracket: Bracket | None
    status: TradeStatus
    margin_used: Decimal
    created_at: datetime
    # Counts the changes after the first write, the last exit not included.
    version: int = 0
    # The user's own id of the order, and a hash that tells it from another of the same id.
    client_order_id: str | None = None
    order_fingerprint: str | None = None
    # The other order of the pair, of which the first to fill cancels the other.
    oco_id: ObjectId | None = None
    filled_at: datetime | None = None
    # Of an order that was filled in part: the trade of the rest, or of the part before it.
    rest_id: ObjectId | None = None
    split_from: ObjectId | None = None
    # The exits of parts, each with the time it was written.
    partial_exits: tuple[tuple[Exit, datetime], ...] = ()
    exit: Exit | None = None
    end_reason: EndReason | None = None
    closed_at: datetime | None = None
    # What it was opened with, None if its user never modified it.
    opened_as: Bracket | EntryOrder | None = None
    # What corporate actions changed, in order.
    adjustments: tuple[Adjustment, ...] = ()

    @classmethod
    def from_document(cls, document: Document) -> Trade:
        end_reason = document.get("end_reason")
        return cls(
            id=document["_id"],
            user_id=document["user_id"],
            portfolio_id=document["portfolio_id"],
            portfolio=document["portfolio"],
            number=document["number"],
            symbol=document["symbol"],
            order=read_order(document),
            bracket=read_bracket(document),
            status=TradeStatus(document["status"]),
            margin_used=document["margin_used"],
            created_at=document["created_at"],
            version=document.get("version") or 0,
            client_order_id=document.get("client_order_id"),
            order_fingerprint=document.get("order_fingerprint"),
            oco_id=document.get("oco_id"),
            filled_at=document.get("filled_at"),
            rest_id=document.get("rest_trade_id"),
            split_from=document.get("split_from"),
            partial_exits=read_partial_exits(document),
            exit=read_last_exit(document),
            end_reason=EndReason(end_reason) if end_reason else None,
            closed_at=document.get("closed_at"),
            opened_as=read_opened_as(document),
            adjustments=read_adjustments(document),
        )

    @classmethod
    def create(
        cls,
        *,
        id: ObjectId,
        user_id: str,
        portfolio_id: ObjectId,
        portfolio: str,
        number: int,
        symbol: str,
        order: Order,
        placement: Placement,
        created_at: datetime,
        widening: Widening,
        oco_id: ObjectId | None = None,
    ) -> Trade:
        """Insert the trade of an order, for whose levels bounds were widened.

        Raises DuplicateKeyError for a used client_order_id, ExecutionTimeout if it is too late.
        """
        owner = {"user_id": user_id, "portfolio_id": portfolio_id, "portfolio": portfolio}
        fields: Document = owner | {"number": number, "symbol": symbol}
        fields |= {"margin_used": placement.margin, "created_at": created_at}
        if oco_id is not None:
            fields["oco_id"] = oco_id
        if (own_id := order.client_order_id) is not None:
            fields |= {"client_order_id": own_id, "order_fingerprint": order.fingerprint}
        document = {"_id": id, **fields, **placement_fields(placement, created_at)}
        collection("trades").insert_one(document)
        widening.require()
        return cls(
            id=id,
            **fields,
            order=placement.order,
            bracket=placement.bracket,
            status=placement.status,
            end_reason=placement.end_reason,
            closed_at=created_at if placement.end_reason else None,
        )

    @property
    def terms(self) -> Bracket | EntryOrder:
        """The side, the quantity and the levels: of the bracket, or of the order before it."""
        terms = self.bracket or self.order
        assert terms is not None
        return terms

    @property
    def ordered_quantity(self) -> int:
        """The units of its order, more than it entered if that was filled in part."""
        return self.order.quantity if self.order and self.rest_id else self.terms.quantity

    @property
    def entered(self) -> Bracket:
        """The bracket of a trade that was entered; only such a trade has one."""
        assert self.bracket is not None
        return self.bracket

    @property
    def trade_type(self) -> TradeType:
        return self.terms.trade_type

    @property
    def model(self) -> FillModel | None:
        """How its fills differ from the plain rules, None if they do not."""
        return self.terms.model

    @property
    def trailing_stop(self) -> TrailingStop | None:
        """Its trailing stop, once it is entered."""
        return self.bracket.trailing_stop if self.bracket else None

    @property
    def levels(self) -> Bounds:
        """The prices that it waits for next, while it is open."""
        return Bounds(self.terms.trigger_below, self.terms.trigger_above)

    @property
    def set_at(self) -> datetime:
        """The time of the quote that it was entered at, or before that placed or modified at."""
        if self.bracket:
            return self.bracket.entry_timestamp
        assert self.order is not None
        return self.order.placed.timestamp

    @property
    def adjusted_by(self) -> frozenset[str]:
        """The ids of the corporate actions that have adjusted it."""
        return frozenset(each.action for each in self.adjustments)

    @property
    def waits_since(self) -> datetime:
        """The time of the quote that it was placed, entered or modified at: later candles count."""
        since = self.bracket.levels_since if self.bracket else None
        return since.timestamp if since else self.set_at

    @property
    def exited(self) -> int:
        """The quantity that has been exited in parts."""
        return self.bracket.exited if self.bracket else 0

    @property
    def margin_blocked(self) -> Decimal:
        """The rupees that it blocks while it is open."""
        return self.margin_used - self._margin_share(self.exited)

    @property
    def realized_pnl(self) -> Decimal:
        """The rupees realized by the exits of parts, and booked by corporate actions."""
        exits = sum((exit.pnl for exit, _ in self.partial_exits), ZERO)
        return exits + sum((each.pnl for each in self.adjustments), ZERO)

    @property
    def pnl(self) -> Decimal | None:
        """The rupees realized, None if there is no exit and nothing else was booked."""
        if self.exit is None:
            return self.realized_pnl if self.partial_exits or self.realized_pnl else None
        return self.pnl_after(self.exit)

    @property
    def exit_price(self) -> Decimal | None:
        """The average price of its exits, by quantity, in its last units; None without one."""
        return average_price([exit for exit, _ in self.exits], self.adjustments)

    @property
    def exits(self) -> list[tuple[Exit, datetime]]:
        """All its exits, each with the time it was written."""
        last = [(self.exit, self.closed_at)] if self.exit and self.closed_at else []
        return [*self.partial_exits, *last]

    @property
    def fills(self) -> list[Fill]:
        """Every execution, in order."""
        if self.bracket is None:
            return []
        exits = [exit_fill(exit, time, self.model) for exit, time in self.exits]
        entered_at = self.filled_at or self.created_at
        return [entry_fill(self.symbol, self.entered_as, entered_at), *exits]

    @property
    def entered_as(self) -> Bracket:
        """The bracket in the units of its entry, with the levels of now."""
        exits = [exit for exit, _ in self.partial_exits]
        return bracket_before(self.entered, exits, self.adjustments)

    def held_at(self, exit: int) -> Bracket:
        """Return the bracket in the units of the exit of this number, from 0."""
        later = [each for each in self.adjustments if each.exits > exit]
        return bracket_before(self.entered, [exit for exit, _ in self.partial_exits], later)

    def pnl_after(self, exit: Exit) -> Decimal:
        """Return the rupees realized by all exits, if `exit` is the next one."""
        return self.realized_pnl + exit.pnl

    def margin_of(self, exit: Exit) -> Decimal:
        """Return the rupees that an exit releases.

        The margin of a part is the rounded share of all that is exited, without what was released
        before, so that any division adds up to the margin used.
        """
        return self._margin_share(self.exited + exit.quantity) - self._margin_share(self.exited)

    def margin_after(self, entered: Entered) -> Decimal:
        """Return the rupees that it blocks once it is entered, without its rest."""
        assert self.order is not None
        # What the whole blocks without the rest, so that both add up to the paisa.
        return self.order.margin_at(entered.bracket.entry_price) - entered.rest_margin

    def _margin_share(self, quantity: int) -> Decimal:
        exits = [exit for exit, _ in self.partial_exits]
        whole = self.terms.quantity
        return margin_share(self.margin_used, quantity, whole, exits, self.adjustments)

    def after(self, transition: Transition) -> Trade | None:
        """Return the trade as it waits on after a transition, None if it is over."""
        change = transition.change
        if not transition.after.is_open:
            return None
        changed = replace(self, status=transition.after, version=self.version + 1)
        if isinstance(change, Exit):
            parts = (*self.partial_exits, (change, change.quote.timestamp))
            return replace(changed, bracket=self.entered.after_part(change), partial_exits=parts)
        if isinstance(change, Entered):
            margin = self.margin_after(change)
            return replace(changed, bracket=change.bracket, margin_used=margin)
        if isinstance(change, Triggered) and self.order:
            order = replace(self.order, triggered_at=change.quote.timestamp)
            return replace(changed, order=order)
        if isinstance(change, Adjusted):
            adjusted = replace(changed, adjustments=(*self.adjustments, change.adjustment))
            if isinstance(change.terms, Bracket):
                return replace(adjusted, bracket=change.terms)
            return replace(adjusted, order=change.terms)
        if isinstance(change, Modified):
            if isinstance(change.terms, Bracket):
                return replace(changed, bracket=change.terms)
            margin = change.terms.margin_at(change.terms.margin_price)
            return replace(changed, order=change.terms, margin_used=margin)
        return None

    @classmethod
    def find_by_id(cls, user_id: str, trade_id: ObjectId) -> Trade | None:
        """Return the user's trade; None for an unknown one or another user's."""
        document = cls.find_document(user_id, trade_id)
        return cls.from_document(document) if document else None

    @classmethod
    def find(cls, trade_id: ObjectId) -> Trade | None:
        """Return a trade of any user, for an operator."""
        document = collection("trades").find_one({"_id": trade_id})
        return cls.from_document(document) if document else None

    @classmethod
    def find_document(cls, user_id: str, trade_id: ObjectId) -> Document | None:
        """Return the document of the user's trade, from which `from_document` makes the trade."""
        return collection("trades").find_one({"_id": trade_id, "user_id": user_id})

    @classmethod
    def find_by_client_order_id(cls, user_id: str, client_order_id: str) -> Trade | None:
        query = {"user_id": user_id, "client_order_id": client_order_id}
        hint = use_index("user_id", "client_order_id")
        document = collection("trades").find_one(query, **hint)
        return cls.from_document(document) if document else None

    @classmethod
    def find_all(
        cls, user_id: str, portfolio_id: ObjectId, *, first: int, recorded: int
    ) -> Iterator[list[Trade]]:
        """Yield every trade of a portfolio with a number from `first` on, in batches.

        `recorded` is the last number by the portfolio, which may be wrong.
        """
        query = {"user_id": user_id, "portfolio_id": portfolio_id}
        for documents in windows_to_end("trades", query, BY_NUMBER, first, recorded):
            yield [cls.from_document(document) for document in documents]

    @classmethod
    def find_by_user_id(
        cls,
        user_id: str,
        portfolio_id: ObjectId,
        *,
        status: TradeStatus | None = None,
        symbol: str | None = None,
        above: int = 0,
        below: int,
        limit: int,
    ) -> list[Trade]:
        """Return trades of the portfolio, numbered over `above` and under `below`, newest first."""
        query = query_of(user_id, portfolio_id, status, symbol)
        documents = newest_first("trades", query, BY_NUMBER, above=above, below=below, limit=limit)
        return [cls.from_document(document) for document in documents]

    @classmethod
    def find_triggered(cls, symbol: str, lowest: Decimal, highest: Decimal) -> Iterator[Trade]:
        """Yield the open trades with a trigger that prices from `lowest` to `highest` reach."""
        return map(cls.from_document, INDEX.find_reached(symbol, lowest, highest))

    @classmethod
    def has_active(cls, symbol: str) -> bool:
        """Return whether any user has an open trade in the symbol."""
        return INDEX.any_waiting(symbol)


def query_of(
    user_id: str, portfolio_id: ObjectId, status: TradeStatus | None, symbol: str | None
) -> Document:
    """Return the query of the trades of a portfolio; None stands for any."""
    return {
        "user_id": user_id,
        "portfolio_id": portfolio_id,
        "status": status and status.value,
        "symbol": symbol,
    }
