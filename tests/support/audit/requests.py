"""What each request did: once if it was acknowledged, once or not at all if it was not.

Each acknowledged request claims the events that it must have caused, and the response must agree
with them. An event that no acknowledged request claims needs a request without a response.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from tests.support.audit import rules
from tests.support.audit.lives import LEVELS, Life
from tests.support.audit.snapshot import Document
from tests.support.operation import Operation

EXITS = ("trade_exited", "trade_partially_exited")
# Names that a response shares with the events of its trade.
SHARED = ("symbol", "trade_type", "quantity", "order_type", *LEVELS)
OPENED = (*SHARED, "status", "margin_used", "entry_price", "time_in_force", "oco_id")


@dataclass
class Requests:
    """The requests of all users beside the events that they caused."""

    operations: Sequence[Operation]
    lives: Mapping[str, Life]
    events: Sequence[Document]
    # The results recorded by user and key.
    results: Mapping[tuple[str, str], Document]
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._claimed: set[Any] = set()
        # Exits that were counted in a response, but not named, by user.
        self._counted: dict[str, int] = defaultdict(int)

    def run(self) -> list[str]:
        """Compare every response with the events; return the problems."""
        # Those that name what they did come first, so that they claim exactly that.
        for operation in sorted(self.operations, key=lambda each: each.kind == "exit_all"):
            if operation.succeeded:
                getattr(self, f"_check_{operation.kind}")(operation)
            elif operation.status == 409:
                self._check_refusal(operation)
        if self.operations:
            self._check_unclaimed()
        return self.problems

    def _check_create(self, operation: Operation) -> None:
        self._check_opened(operation, operation.answer)

    def _check_pair(self, operation: Operation) -> None:
        first, second = operation.answer["trades"]
        self._expect(first["oco_id"], second["trade_id"], f"the pair of {operation}")
        self._expect(second["oco_id"], first["trade_id"], f"the pair of {operation}")
        for answer in (first, second):
            self._check_opened(operation, answer)

    def _check_opened(self, operation: Operation, answer: Mapping[str, Any]) -> None:
        life = self.lives.get(answer["trade_id"])
        if life is None or not life.events:
            self.problems.append(f"an acknowledged trade is gone: {operation}")
            return
        event = life.events[0]
        self._claim(event, operation)
        # The end of an IOC order names its levels no more.
        names = OPENED if event["type"] == "trade_created" else SHARED[:4]
        self._agree(answer, event["data"], names, operation)

    def _check_modify(self, operation: Operation) -> None:
        answer, life = operation.answer, self._life(operation)
        event = _modification(life, answer["version"])
        if event is None:
            self.problems.append(f"an acknowledged modification is gone: {operation}")
            return
        self._claim(event, operation)
        self._agree(answer, event["data"], SHARED, operation)
        # A step of None becomes a tick.
        sent = {
            name: value
            for name, value in operation.body.items()
            if name in SHARED and (name != "trailing_step" or value is not None)
        }
        self._agree(sent, event["data"], sent, operation)

    def _check_cancel(self, operation: Operation) -> None:
        life = self._life(operation)
        event = next((each for each in life.events if each["type"] == "trade_cancelled"), None)
        self._expect(operation.answer["status"], "CANCELLED", f"the status of {operation}")
        if event is None or event["data"]["reason"] != "user":
            self.problems.append(f"an acknowledged cancellation is gone: {operation}")
            return
        self._claim(event, operation)

    def _check_exit(self, operation: Operation) -> None:
        life, answer = self._life(operation), operation.answer
        kind = EXITS[answer["open_quantity"] > 0]
        names = ("quantity", "exit_price", "pnl", "open_quantity")
        for event in life.events:
            data = {"open_quantity": 0, **event["data"]}
            is_same = event["type"] == kind and all(
                _plain(data[name]) == answer[name] for name in names
            )
            if is_same and event["_id"] not in self._claimed:
                self._claim(event, operation)
                return
        self.problems.append(f"an acknowledged exit is gone: {operation}")

    def _check_exit_all(self, operation: Operation) -> None:
        answer = operation.answer
        if operation.is_complete:
            self._check_nothing_outlived(operation)
        if operation.key is None:
            self._counted[operation.user_id] += answer["count"] + answer["cancelled"]
            return
        result = self.results[operation.user_id, operation.key]
        written = [self._written(self.lives[str(each)]) for each in result.get("written", ())]
        events = [event for event in written if event is not None]
        for event in events:
            self._claim(event, operation)
        exits = [event["data"] for event in events if event["type"] in EXITS]
        self._expect(len(exits), answer["count"], f"the exits of {operation}")
        self._expect(len(events) - len(exits), answer["cancelled"], f"the ends of {operation}")
        # Which part a trade exited here is known if it exited one only.
        if not any(self._is_ambiguous(event) for event in events):
            total = rules.sum_of(data["pnl"] for data in exits)
            self._expect(float(total), answer["total_pnl"], f"the sum of {operation}")

    def _check_reset(self, operation: Operation) -> None:
        self._check_nothing_outlived(operation)
        season = operation.answer["season"]
        event = next(
            each
            for each in self._of(operation.user_id)
            if each["type"] == "portfolio_reset" and each["data"]["season"] == season
        )
        self._claim(event, operation)
        self._counted[operation.user_id] += sum(
            operation.answer[name] for name in ("exited", "cancelled")
        )

    def _check_move(self, operation: Operation) -> None:
        answer = operation.answer
        event = next(
            (
                each
                for each in self._of(operation.user_id)
                if each["data"].get("movement_id") == answer["movement_id"]
            ),
            None,
        )
        if event is None:
            self.problems.append(f"an acknowledged movement is gone: {operation}")
            return
        self._claim(event, operation)
        self._agree(answer, event["data"], ("amount", "available_margin", "season"), operation)

    def _check_refusal(self, operation: Operation) -> None:
        """Expect that a refusal tells a state that the trade had."""
        details = operation.answer.get("details") or {}
        told = details.get("trade", details)
        if operation.trade_id is None or "status" not in told:
            return
        values = {name: told[name] for name in ("version", "pnl") if told.get(name) is not None}
        if "pnl" in values:
            values["pnl"] = Decimal(str(values["pnl"]))
        if not self._life(operation).was(told["status"], **values):
            self.problems.append(f"a refusal that was never true: {operation}")

    def _check_nothing_outlived(self, operation: Operation) -> None:
        """Expect that what was open before this request is not open any more."""
        kept = {each["trade_id"] for each in operation.answer.get("not_exited", ())}
        ends_orders = operation.kind == "reset" or operation.body.get("include_pending")
        for trade_id in self._opened_before(operation) - kept:
            life = self.lives.get(trade_id)
            if life is None or life.trade["status"] not in rules.OPEN:
                continue
            # An order that waited may have been filled since.
            if ends_orders or life.states[0].status == "ACTIVE":
                self.problems.append(f"{trade_id} outlived {operation}")

    def _opened_before(self, operation: Operation) -> set[str]:
        opened: set[str] = set()
        for each in self.operations:
            if each is operation:
                break
            if each.user_id == operation.user_id and each.succeeded:
                opened |= each.trade_ids
        return opened

    def _check_unclaimed(self) -> None:
        """Expect a request without a response for each event that no response explains."""
        unclaimed: dict[str, list[Document]] = defaultdict(list)
        for event in self.events:
            if _is_of_user(event) and event["_id"] not in self._claimed:
                unclaimed[event["user_id"]].append(event)
        for user_id in {operation.user_id for operation in self.operations}:
            events, counted = unclaimed[user_id], self._counted[user_id]
            left = self._without_open(user_id, events)
            ends, others = _divided(left)
            too_few = len(_divided(events)[0]) < counted
            too_many = len(ends) > counted and not self._may_have_ended_any(user_id)
            if too_few or too_many or others:
                self.problems.append(
                    f"{user_id}: responses counted {counted} exits, and no request without a "
                    f"response explains {left}"
                )

    def _without_open(self, user_id: str, events: Iterable[Document]) -> list[Document]:
        """Return the events that no request without a response may have caused."""
        causes = [
            (operation.trade_id, event_types)
            for operation in self.operations
            if operation.is_open and operation.user_id == user_id
            for event_types in operation.may_cause
        ]
        left = []
        for event in events:
            for trade_id, event_types in causes:
                is_its = trade_id is None or trade_id == event["data"].get("trade_id")
                if is_its and event["type"] in event_types:
                    causes.remove((trade_id, event_types))
                    break
            else:
                left.append(event)
        return left

    def _may_have_ended_any(self, user_id: str) -> bool:
        """Return whether a request may have ended trades that no response counts."""
        return any(
            # A reset that is repeated counts what the last try has closed.
            (each.is_open or (each.kind == "reset" and each.attempts > 1))
            and each.kind in ("exit_all", "reset")
            for each in self.operations
            if each.user_id == user_id
        )

    def _written(self, life: Life) -> Document | None:
        """Return the exit or the cancellation that a request to exit all has written."""
        for event in life.events:
            ends = event["type"] in EXITS or event["type"] == "trade_cancelled"
            if ends and _is_of_user(event) and event["_id"] not in self._claimed:
                return event
        self.problems.append(f"trade {life.trade['_id']} was exited, and has no event of it")
        return None

    def _is_ambiguous(self, event: Document) -> bool:
        life = self.lives[event["data"]["trade_id"]]
        return sum(each["type"] in EXITS for each in life.events) > 1

    def _life(self, operation: Operation) -> Life:
        return self.lives[operation.trade_id or ""]

    def _of(self, user_id: str) -> list[Document]:
        return [event for event in self.events if event["user_id"] == user_id]

    def _claim(self, event: Document, operation: Operation) -> None:
        if event["_id"] in self._claimed:
            self.problems.append(f"another request has done this already: {operation}")
        self._claimed.add(event["_id"])

    def _agree(
        self,
        answer: Mapping[str, Any],
        data: Document,
        names: Iterable[str],
        operation: Operation,
    ) -> None:
        for name in names:
            # An event leaves out the fields of a trailing stop that there is not.
            if name in answer and (name in data or name in rules.TRAILING):
                self._expect(answer[name], _plain(data.get(name)), f"{name} of {operation}")

    def _expect(self, actual: Any, expected: Any, what: str) -> None:
        if actual != expected:
            self.problems.append(f"{what}: {actual!r}, not {expected!r}")


def _modification(life: Life, version: int) -> Document | None:
    """Return the modification that led to a version."""
    for event, following in zip_longest(life.events, life.events[1:]):
        if event["type"] == "trade_modified" and event["data"]["version"] == version:
            return event
        # A limit that the price has reached is filled in the same transaction.
        is_filled = following is not None and following["type"] == "trade_filled"
        if (
            is_filled
            and event["type"] == "trade_modified"
            and (event["data"]["version"] == version - 1)
        ):
            return event
    return None


def _divided(events: Iterable[Document]) -> tuple[list[Document], list[Document]]:
    """Return the events that end trades, or parts of them, and the others."""
    ends: list[Document] = []
    others: list[Document] = []
    for event in events:
        is_end = event["type"] in (*EXITS, "trade_cancelled")
        (ends if is_end else others).append(event)
    return ends, others


def _is_of_user(event: Document) -> bool:
    """Return whether a request of the user caused an event, and not a price or a time."""
    if event["type"] == "trade_cancelled":
        return event["data"]["reason"] not in ("oco", "oco_rejected")
    return event["type"] in (
        *("trade_created", "trade_modified", *EXITS),
        *("funds_deposited", "funds_withdrawn", "portfolio_reset"),
    )


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value
