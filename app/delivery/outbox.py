"""The outbox: a worker that delivers each notification by email and SMS, at least once.

What is to be delivered is in the database before anyone hears of it, so a crash delays a
message and never loses it. A sender that is slow or fails costs requests nothing: they have
long been answered.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bson import ObjectId
from flask import Flask
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.delivery.allowance import Allowance
from app.delivery.attempts import FIRST_RETRY, Attempt, draw_jitter
from app.delivery.messages import compose
from app.delivery.senders import DeliveryError, Sender
from app.events import events_committed
from app.logs import logger
from app.models import Claim, Inbox, Notification, Portfolio, Preferences, User
from app.services import services
from app.stop_links import make_stop_link

BATCH = 200
# Of one user's, no more than this are told in one message and written down in one go.
MAX_DIGEST = 500
# How long a killed worker's messages wait for another. A worker that lives holds what it took
# by renewing it; no sender takes as long as the rest of a lease.
LEASE = timedelta(minutes=2)
RENEW_SECONDS = 10.0
# What is due is listed at most this often while there is a backlog (Notification.find_due).
LISTING_SECONDS = 60.0
# How long to wait at most before looking for work that another process left behind.
MAX_WAIT_SECONDS = 60.0
STOP_SECONDS = 0.5


class Outbox:
    def __init__(self, app: Flask, clock: Clock, senders: Iterable[Sender]) -> None:
        self._app = app
        self._clock = clock
        with app.app_context():
            self._allowance = Allowance(services().settings)
        self._senders = {sender.channel: sender for sender in senders}
        self._backlog: deque[list[ObjectId]] = deque()
        self._listed_at = 0.0
        self._work = threading.Event()
        self._stopping = False
        self._ended = threading.Event()
        events_committed.connect(self._wake, sender=app)

    def run(self) -> None:
        """Deliver what is due, and wait for more, until stopped."""
        while not self._stopping:
            self._work.clear()
            try:
                wait = 0.0 if self.run_once() else self._seconds_to_next()
            except PyMongoError as error:
                logger.warning("outbox: database unavailable: %s", type(error).__name__)
                wait = FIRST_RETRY.total_seconds()
            except Exception:
                # Whatever it was, the worker must live to deliver the next batch.
                logger.exception("outbox: a batch failed")
                wait = FIRST_RETRY.total_seconds()
            if wait:
                self._work.wait(wait)
        self._ended.set()

    def stop(self) -> None:
        """End `run`, and wait a moment for the message it is at."""
        self._stopping = True
        self._work.set()
        self._ended.wait(STOP_SECONDS)

    def run_once(self) -> int:
        """Deliver one batch of what is due; return how many notifications it held."""
        with self._app.app_context():
            claim = self._claim()
            if claim is None:
                return 0
            batch = _Batch(claim, self._clock, balances=self._sends)
            recorded: list[Attempt] = []
            while not self._stopping and (share := batch.next_user_batch()):
                attempts = self._deliver(share)
                if self._sends:
                    # Share by share: what was sent and not written down would be sent again.
                    _write_down(claim, attempts)
                else:
                    recorded += attempts
            _write_down(claim, recorded)
            if self._stopping:
                batch.release()
            return len(claim.notifications)

    @property
    def _sends(self) -> bool:
        """Whether any message leaves; a recorded one has no words, and costs nobody anything."""
        return any(sender.outcome == "sent" for sender in self._senders.values())

    def _claim(self) -> Claim | None:
        """Take the longest due notifications, and with each what else its user is due."""
        while ids := self._longest_due():
            claim = Notification.claim(ids, self._clock.now(), LEASE)
            # Another worker may have been as quick with all of these.
            if claim.notifications:
                return claim
        return None

    def _longest_due(self) -> list[ObjectId]:
        time = self._clock.monotonic()
        if not self._backlog or time - self._listed_at >= LISTING_SECONDS:
            self._backlog = deque(Notification.find_due(self._clock.now()))
            self._listed_at = time
        ids: list[ObjectId] = []
        while self._backlog and len(ids) < BATCH:
            user = self._backlog.popleft()
            ids += user[:MAX_DIGEST]
            if rest := user[MAX_DIGEST:]:
                self._backlog.appendleft(rest)
        return ids

    def _deliver(self, share: _UserBatch) -> list[Attempt]:
        """Send a user's notifications as one message a channel; return how it went."""
        attempts = [Attempt(each) for each in share.notifications]
        for channel, sender in self._senders.items():
            now = self._clock.now()
            wanted = []
            for each in attempts:
                if not each.is_due(channel, now):
                    continue
                if share.preferences.allow(channel, each.notification.type):
                    wanted.append(each)
                else:
                    each.skip(channel, now)
            if wanted:
                self._send(sender, share, wanted)
        return attempts

    def _send(self, sender: Sender, share: _UserBatch, attempts: Sequence[Attempt]) -> None:
        if sender.outcome == "sent" and share.user and self._withheld(sender, share.user, attempts):
            return
        error = self._try_to_send(sender, share, attempts)
        # Counted from the end of an attempt that may have been slow; one draw for them all, so
        # that what was one message is one again.
        now, jitter = self._clock.now(), draw_jitter()
        for each in attempts:
            each.finish(sender, now, error, jitter)

    def _withheld(self, sender: Sender, user: User, attempts: Sequence[Attempt]) -> bool:
        """Return whether nothing may go out to the user now, and note why."""
        now = self._clock.now()
        if reason := self._allowance.refusal(user, sender.channel):
            for each in attempts:
                each.record(sender.channel, now, reason)
        elif reason := self._allowance.take(user, sender.channel, now):
            logger.warning("%s skipped: %s", sender.channel, reason)
            for each in attempts:
                each.skip(sender.channel, now, reason)
        return reason is not None

    def _try_to_send(
        self, sender: Sender, share: _UserBatch, attempts: Sequence[Attempt]
    ) -> DeliveryError | None:
        """Send one message that tells of all the attempts; return what kept it from going out."""
        began = self._clock.now()
        try:
            if share.user is None:
                raise DeliveryError("the user is gone", permanent=True)
            events = [each.notification for each in attempts]
            stop_link = make_stop_link(share.user.id)
            message = compose(share.user.name, events, share.available_margin, stop_link)
            sender.send(share.user, message)
        except DeliveryError as failure:
            error = failure
            logger.warning("%s not delivered: %s", sender.channel, failure)
        except Exception as failure:
            # Counted like any other, or one message that cannot be written would be tried for
            # ever, and hold up those behind it.
            error = DeliveryError(type(failure).__name__)
            logger.exception("%s not delivered", sender.channel)
        else:
            return None
        if share.user and sender.outcome == "sent":
            self._allowance.give_back(share.user, sender.channel, began)
        return error

    def _seconds_to_next(self) -> float:
        now = self._clock.now()
        with self._app.app_context():
            due = Notification.next_due(now + timedelta(seconds=MAX_WAIT_SECONDS))
        return MAX_WAIT_SECONDS if due is None else max((due - now).total_seconds(), 0.1)

    def _wake(self, _sender: object, events: Sequence[Notification]) -> None:
        if any(event.is_to_be_sent for event in events):
            self._work.set()


def _write_down(claim: Claim, attempts: Sequence[Attempt]) -> None:
    if attempts:
        Notification.record_deliveries(
            claim.mark, [(each.notification, each.deliveries, each.next_time) for each in attempts]
        )


@dataclass(frozen=True, slots=True)
class _UserBatch:
    """What of a batch is one user's; `available_margin` is rupees, where it is known."""

    user: User | None
    preferences: Preferences
    notifications: list[Notification]
    available_margin: Decimal | None


class _Batch:
    """What was claimed, a user's share at a time, for as long as it stays this worker's."""

    def __init__(self, claim: Claim, clock: Clock, *, balances: bool) -> None:
        self._mark = claim.mark
        self._clock = clock
        self._reads_balances = balances
        self._waiting: dict[str, list[Notification]] = defaultdict(list)
        for each in claim.notifications:
            self._waiting[each.user_id].append(each)
        self._read_users()

    def next_user_batch(self) -> _UserBatch | None:
        """Return the next user's share, None where none is left.

        Users are as they are now, give or take RENEW_SECONDS: what they switched off meanwhile
        counts.
        """
        if self._clock.monotonic() - self._read_at >= RENEW_SECONDS:
            self._hold_until(self._clock.now() + LEASE)
            self._read_users()
        if not self._waiting:
            return None
        user_id = next(iter(self._waiting))
        inbox = self._inboxes.get(user_id)
        return _UserBatch(
            self._users.get(user_id),
            inbox.preferences if inbox else Preferences(),
            self._waiting.pop(user_id),
            self._balances.get(user_id),
        )

    def release(self) -> None:
        """Leave what is left to whichever worker comes next."""
        self._hold_until(self._clock.now())

    def _hold_until(self, time: datetime) -> None:
        ids = [each.id for share in self._waiting.values() for each in share]
        ours = Notification.extend(self._mark, ids, time) if ids else set()
        shares = {
            user_id: [each for each in share if each.id in ours]
            for user_id, share in self._waiting.items()
        }
        self._waiting = {user_id: share for user_id, share in shares.items() if share}

    def _read_users(self) -> None:
        user_ids = list(self._waiting)
        self._users = {user.client_id: user for user in User.find_many(user_ids)}
        self._inboxes = Inbox.find_many(user_ids)
        self._balances = Portfolio.available_margins(user_ids) if self._reads_balances else {}
        self._read_at = self._clock.monotonic()
