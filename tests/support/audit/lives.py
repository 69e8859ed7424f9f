"""The life of a trade: its events, one after the other, must lead to its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import inf
from typing import Any

from tests.support.audit import rules
from tests.support.audit.snapshot import Document

LEVELS = ("limit_price", "stop_price", "stop_loss", "target_price", *rules.TRAILING)
ENDING = {"trade_cancelled": "CANCELLED", "trade_expired": "EXPIRED", "trade_rejected": "REJECTED"}


@dataclass(frozen=True)
class State:
    """A trade after one of its events. `version` counts its changes, the last exit not included."""

    status: str
    quantity: int
    margin: Decimal
    levels: Document
    entry_price: Decimal | None = None
    triggered: bool = False
    held: int = 0
    pnl: Decimal | None = None
    version: int = 0

    @property
    def entry_margin(self) -> Decimal:
        """The rupees that its entry blocks while it waits."""
        price = self.levels["limit_price"] or self.levels["stop_price"]
        return rules.margin_at(price, self.quantity)


@dataclass
class Life:
    """The states of a trade, and the problems that were found in its events."""

    trade: Document
    events: Sequence[Document]
    states: list[State] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sign = rules.sign_of(self.trade)
        for event in self.events:
            self._take(event)
        if self.states:
            self._compare_document(self.states[-1])
        else:
            self._note("it has no event")

    def seq_of(self, *types: str) -> int | None:
        """Return the number of its first event of these types, None without one."""
        return next((each["seq"] for each in self.events if each["type"] in types), None)

    def was(self, status: str, **values: Any) -> bool:
        """Return whether the trade ever had a status, and these values with it."""
        return any(
            state.status == status
            and all(getattr(state, name) == value for name, value in values.items())
            for state in self.states
        )

    def _take(self, event: Document) -> None:
        kind, data = event["type"], event["data"]
        if not self.states:
            self.states.append(self._opened(kind, data))
            return
        changes = {
            "trade_triggered": self._triggered,
            "trade_filled": self._filled,
            "trade_modified": self._modified,
            "trade_partially_exited": self._reduced,
            "trade_exited": self._closed,
            "trade_auto_closed": self._closed,
            **dict.fromkeys(ENDING, self._ended),
        }
        change = changes.get(kind)
        if change is None:
            self._note(f"{kind} after it was opened")
            self.states.append(self.states[-1])
            return
        self.states.append(change(self.states[-1], {**data, "type": kind}))

    def _opened(self, kind: str, data: Document) -> State:
        if kind == "trade_cancelled" and data["reason"] == "ioc":
            # An entry that may not wait has no other event.
            self._expect(data["margin_released"], rules.ZERO, "margin of an IOC order")
            return State("CANCELLED", data["quantity"], rules.ZERO, _levels(self.trade))
        self._expect(kind, "trade_created", "first event")
        entry = data.get("entry_price")
        state = State(
            data.get("status", "?"),
            data["quantity"],
            data.get("margin_used", rules.ZERO),
            _levels(data),
            entry_price=entry,
            held=0 if entry is None else data["quantity"],
        )
        self._expect(state.status, "PENDING" if entry is None else "ACTIVE", "first status")
        margin = state.entry_margin if entry is None else rules.margin_at(entry, state.quantity)
        self._expect(state.margin, margin, "margin at first")
        if entry is not None and (limit := state.levels["limit_price"]) is not None:
            self._require((entry - limit) * self._sign <= 0, f"entered at {entry}, not at {limit}")
        return state

    def _triggered(self, state: State, data: Document) -> State:
        self._require_status(state, "PENDING", data)
        self._expect(data["order_type"], "STOP_LIMIT", "type of what was triggered")
        self._expect(state.triggered, False, "triggered before")
        beyond = (data["quote"]["price"] - state.levels["stop_price"]) * self._sign >= 0
        self._require(beyond, f"triggered before its stop: {data}")
        return replace(state, triggered=True, version=state.version + 1)

    def _filled(self, state: State, data: Document) -> State:
        self._require_status(state, "PENDING", data)
        entry, limit, stop = (
            data["entry_price"],
            *map(state.levels.get, ("limit_price", "stop_price")),
        )
        if limit is not None:
            self._require((entry - limit) * self._sign <= 0, f"filled beyond its limit: {data}")
        if stop is not None and not state.triggered:
            reached = (data["quote"]["price"] - stop) * self._sign >= 0
            self._require(reached, f"filled before its stop: {data}")
        margin = rules.margin_at(entry, state.quantity)
        self._expect(data["margin_used"], margin, "margin of a fill")
        return replace(
            state,
            status="ACTIVE",
            entry_price=entry,
            margin=margin,
            held=state.quantity,
            version=state.version + 1,
        )

    def _modified(self, state: State, data: Document) -> State:
        self._require(state.status in rules.OPEN, f"modified while {state.status}: {data}")
        new = replace(
            state,
            quantity=data["quantity"],
            margin=data["margin_used"],
            levels=_levels(data),
            version=state.version + 1,
        )
        self._expect(data["status"], state.status, "status of a modification")
        self._expect(data["version"], new.version, "version of a modification")
        waits = state.status == "PENDING"
        self._expect(new.margin, new.entry_margin if waits else state.margin, "modified margin")
        if not waits:
            self._expect(new.quantity, state.quantity, "quantity of an active trade")
        return new

    def _reduced(self, state: State, data: Document) -> State:
        left = state.held - data["quantity"]
        self._require(left > 0, f"a part that is not one: {data}")
        self._expect(data["open_quantity"], left, "held after a part")
        self._expect(data["reason"], "user", "reason of a part")
        return replace(self._exited(state, data), version=state.version + 1)

    def _closed(self, state: State, data: Document) -> State:
        self._expect(data["quantity"], state.held, "quantity of the last exit")
        by_user = data["reason"] == "user"
        kind = "trade_exited" if by_user else "trade_auto_closed"
        self._expect(data["type"], kind, f"event of an exit by {data['reason']}")
        statuses = {reason: status for status, reason in rules.CLOSED.items()}
        if not by_user:
            self._require(self._is_caused(state, data), f"closed without a reason: {data}")
        return replace(self._exited(state, data), status=statuses.get(data["reason"], "?"))

    def _exited(self, state: State, data: Document) -> State:
        self._require_status(state, "ACTIVE", data)
        pnl = rules.pnl_at(self.trade, data["exit_price"], data["quantity"])
        self._expect(data["pnl"], pnl, "P&L of an exit")
        total = (state.pnl or rules.ZERO) + data["pnl"]
        return replace(state, held=state.held - data["quantity"], pnl=total)

    def _is_caused(self, state: State, data: Document) -> bool:
        """Return whether the price of an exit is at or beyond the level that it names."""
        trade = self.trade | state.levels
        if data["reason"] == "target":
            level = rules.target_level(trade)
        elif data["reason"] == "stop_loss":
            level = rules.stop_level(trade | dict.fromkeys(rules.TRAILING))
        else:
            best = data["best_price"]["price"]
            level = rules.stop_level({**trade, "stop_loss": None}, best)
        return level is not None and level.is_reached(data["exit_price"])

    def _ended(self, state: State, data: Document) -> State:
        self._require_status(state, "PENDING", data)
        status = ENDING[data["type"]]
        reasons = rules.UNFILLED[status]
        self._require(data["reason"] in reasons, f"{status} because of {data['reason']}")
        self._expect(data["margin_released"], state.margin, "margin released at the end")
        return replace(state, status=status, version=state.version + 1)

    def _compare_document(self, state: State) -> None:
        """Note what the document has that its events do not lead to."""
        trade = self.trade
        for name, value in {
            "status": state.status,
            "quantity": state.quantity,
            "margin_used": state.margin,
            "entry_price": state.entry_price,
            **state.levels,
        }.items():
            self._expect(trade.get(name), value, name)
        self._expect(trade.get("version") or 0, state.version, "version")
        self._expect(rules.held(trade), state.held, "held")
        self._expect(rules.realized(trade), state.pnl or rules.ZERO, "realized P&L")
        self._expect(self._recorded_exits(), self._announced_exits(), "exits")
        is_open = state.status in rules.OPEN
        self._expect(trade["waiting"], is_open, "waiting")
        self._expect("pending_until" in trade, state.status == "PENDING", "has pending_until")
        if is_open:
            stored = (trade["trigger_below"], trade["trigger_above"])
            self._expect(stored, rules.triggers(trade), "triggers")
        self._expect(trade.get("closed_at") is None, is_open, "has no closed_at")
        reasons = rules.UNFILLED.get(state.status)
        self._expect(trade.get("end_reason") is not None, reasons is not None, "has end_reason")

    def _recorded_exits(self) -> list[tuple[Any, ...]]:
        trade = self.trade
        exits = [
            (part["quantity"], part["price"], part["pnl"], part["reason"])
            for part in trade.get("partial_exits", ())
        ]
        if trade["status"] in rules.CLOSED:
            left = trade["quantity"] - sum(exit[0] for exit in exits)
            pnl = trade["pnl"] - rules.sum_of(exit[2] for exit in exits)
            exits.append((left, trade["exit_price"], pnl, trade["exit_reason"]))
        return exits

    def _announced_exits(self) -> list[tuple[Any, ...]]:
        return [
            tuple(event["data"][name] for name in ("quantity", "exit_price", "pnl", "reason"))
            for event in self.events
            if "exit_price" in event["data"]
        ]

    def _require_status(self, state: State, status: str, data: Document) -> None:
        self._require(state.status == status, f"{data['type']} while {state.status}: {data}")

    def _require(self, condition: bool, problem: str) -> None:
        if not condition:
            self._note(problem)

    def _expect(self, actual: Any, expected: Any, what: str) -> None:
        if actual != expected:
            self._note(f"{what}: {actual!r}, not {expected!r}")

    def _note(self, problem: str) -> None:
        self.problems.append(f"trade {self.trade['_id']}: {problem}")


def pair_problems(lives: Mapping[str, Life]) -> Iterator[str]:
    """Yield the pairs of which not the first order that was filled or rejected ended the other."""
    for name, life in lives.items():
        if (other_id := life.trade.get("oco_id")) is None:
            continue
        other = lives.get(str(other_id))
        if other is None or str(other.trade["oco_id"]) != name:
            yield f"trade {name} is half a pair: {life.trade}"
            continue
        filled_at, other_filled_at = life.seq_of("trade_filled"), other.seq_of("trade_filled")
        ended_at = life.seq_of(*ENDING) or inf
        decided_at = other_filled_at or other.seq_of("trade_rejected")
        by_pair = str(life.trade.get("end_reason")).startswith("oco")
        outlived = decided_at is not None and ended_at > decided_at
        if (filled_at and other_filled_at) or outlived or by_pair > (decided_at is not None):
            yield f"a pair of which each may be filled: {life.trade} and {other.trade}"


def _levels(fields: Document) -> Document:
    return {name: fields.get(name) for name in LEVELS}
