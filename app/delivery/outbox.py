"""The outbox: a worker that delivers each notification by email and SMS, at least once.

A notification is in the database before it is published, so a crash delays a message and never
loses it. A slow or failing sender costs requests nothing: they were answered long before.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bson import ObjectId
from flask import Flask
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.database.transactions import is_outage
from app.delivery.allowance import Allowance
from app.delivery.attempts import Attempt, draw_jitter
from app.delivery.messages import compose
from app.delivery.senders import DeliveryError, Sender
from app.delivery.worker import Worker
from app.events import events_committed
from app.logs import logger
from app.metrics import metrics
from app.models import Claim, Inbox, Notification, Portfolio, Preferences, User
from app.notifications.stop_links import make_stop_link
from app.services import services

BATCH_SIZE = 200
# Maximum events of one user in one message.
MAX_DIGEST = 500
# After this time another worker takes the notifications of a killed one. A living worker renews
# its lease; no sender takes as long as the rest of a lease.
LEASE = timedelta(minutes=2)
RENEW_SECONDS = 10.0
# Minimum time between two listings of due notifications while there is a backlog
# (Notification.find_due).
LISTING_SECONDS = 60.0
# Claims in a row that another worker may win. Then `run` waits, because the list of due
# notifications may lag behind the claims.
MAX_CLAIMS = 10
# Maximum time between two checks for what a web process wrote, or another worker left behind.
MAX_WAIT_SECONDS = 5.0


class Outbox(Worker):
    def __init__(
        self,
        app: Flask,
        clock: Clock,
        senders: Iterable[Sender],
        *,
        batch_size: int = BATCH_SIZE,
        max_digest: int = MAX_DIGEST,
    ) -> None:
        super().__init__("outbox")
        self._app = app
        self._batch_size = batch_size
        self._max_digest = max_digest
        self._clock = clock
        with app.app_context():
            self._allowance = Allowance(services().settings)
        self._senders = {sender.channel: sender for sender in senders}
        self._backlog: deque[tuple[str, list[ObjectId]]] = deque()
        # What was sent and is not recorded yet, by claim: a message of it would be sent again.
        self._unsaved: deque[tuple[ObjectId, list[Attempt]]] = deque()
        self._listed_at = 0.0
        events_committed.connect(self._wake, sender=app)

    def run_pass(self) -> float:
        """Deliver one batch; return the seconds to wait, none while there may be another."""
        return 0.0 if self.run_once() else self._seconds_to_next()

    def run_once(self) -> int:
        """Deliver one batch of due notifications; return how many it had.

        Raises PyMongoError if the database is unavailable. The next batch then begins by recording
        what this one has sent; the rest is due again when the claim ends.
        """
        with self._app.app_context():
            self._save_results()
            claim = self._claim()
            if claim is None:
                return 0
            batch = _Batch(claim, self._clock, balances=self._sends)
            recorded: list[Attempt] = []
            while not self._stopping and (user_batch := batch.next_user_batch()):
                attempts = [Attempt(notification) for notification in user_batch.notifications]
                if self._sends:
                    # User by user: a sent message that is not noted would be sent again.
                    self._unsaved.append((claim.mark, attempts))
                else:
                    recorded += attempts
                self._deliver(user_batch, attempts)
                self._save_results()
            self._unsaved.append((claim.mark, recorded))
            self._save_results()
            if self._stopping:
                batch.release()
            return len(claim.notifications)

    def _save_results(self) -> None:
        """Record what was sent; in an outage it is kept for the next time."""
        while self._unsaved:
            mark, attempts = self._unsaved.popleft()
            outcomes = [
                (attempt.notification, attempt.deliveries, attempt.next_time)
                for attempt in attempts
            ]
            try:
                Notification.record_deliveries(mark, outcomes)
            except PyMongoError as error:
                if is_outage(error):
                    self._unsaved.appendleft((mark, attempts))
                raise

    @property
    def _sends(self) -> bool:
        """Whether any sender really sends; recording needs no balances."""
        return any(sender.outcome == "sent" for sender in self._senders.values())

    def _claim(self) -> Claim | None:
        """Claim the longest due notifications, and the other due ones of their users."""
        for _ in range(MAX_CLAIMS):
            if not (owners := self._longest_due()):
                break
            claim = Notification.claim(owners, self._clock.now(), LEASE)
            # Another worker may have claimed all of these.
            if claim.notifications:
                return claim
        return None

    def _longest_due(self) -> dict[ObjectId, str]:
        """Return the ids of the longest due notifications, with their users."""
        time = self._clock.monotonic()
        if not self._backlog or time - self._listed_at >= LISTING_SECONDS:
            self._backlog = deque(Notification.find_due(self._clock.now()))
            self._listed_at = time
        owners: dict[ObjectId, str] = {}
        while self._backlog and len(owners) < self._batch_size:
            user_id, ids = self._backlog.popleft()
            owners |= dict.fromkeys(ids[: self._max_digest], user_id)
            if rest := ids[self._max_digest :]:
                self._backlog.appendleft((user_id, rest))
        return owners

    def _deliver(self, batch: _UserBatch, attempts: Sequence[Attempt]) -> None:
        """Send a user's notifications as one message per channel; note the results."""
        for channel, sender in self._senders.items():
            now = self._clock.now()
            wanted = []
            for attempt in attempts:
                if not attempt.is_due(channel, now):
                    continue
                if batch.preferences.allow(channel, attempt.notification.type):
                    wanted.append(attempt)
                else:
                    attempt.skip(channel, now)
            if wanted:
                try:
                    self._send(sender, batch, wanted)
                except PyMongoError:
                    for attempt in attempts:
                        attempt.postpone(self._senders, now)
                    raise

    def _send(self, sender: Sender, batch: _UserBatch, attempts: Sequence[Attempt]) -> None:
        if sender.outcome == "sent" and batch.user and self._withhold(sender, batch.user, attempts):
            return
        error = self._try_to_send(sender, batch, attempts)
        result = "failed" if error else sender.outcome
        metrics().messages.labels(sender.channel, result).inc()
        # From the end of the attempt, which may have been slow. One jitter for all, so that the
        # events of one message are one message again.
        now, jitter = self._clock.now(), draw_jitter()
        for attempt in attempts:
            attempt.finish(sender, now, error, jitter)

    def _withhold(self, sender: Sender, user: User, attempts: Sequence[Attempt]) -> bool:
        """Return whether the user may receive nothing now; if so, note why."""
        now = self._clock.now()
        if reason := self._allowance.refusal(user, sender.channel):
            for attempt in attempts:
                attempt.record(sender.channel, now, reason)
        elif reason := self._allowance.take(user, sender.channel, now):
            logger.warning("%s skipped: %s", sender.channel, reason)
            for attempt in attempts:
                attempt.skip(sender.channel, now, reason)
        return reason is not None

    def _try_to_send(
        self, sender: Sender, batch: _UserBatch, attempts: Sequence[Attempt]
    ) -> DeliveryError | None:
        """Send one message about all the attempts; return the error if it was not sent."""
        began = self._clock.now()
        try:
            if batch.user is None:
                raise DeliveryError("the user is gone", permanent=True)
            events = [attempt.notification for attempt in attempts]
            stop_link = make_stop_link(batch.user.id)
            message = compose(batch.user.name, events, batch.available_margins, stop_link)
            sender.send(batch.user, message)
        except DeliveryError as failure:
            error = failure
            logger.warning("%s not delivered: %s", sender.channel, failure)
        except Exception as failure:
            # Counted as an attempt. Otherwise a message that cannot be rendered would be retried
            # for ever, and delay all messages after it.
            error = DeliveryError(type(failure).__name__)
            logger.exception("%s not delivered", sender.channel)
        else:
            return None
        if batch.user and sender.outcome == "sent":
            self._allowance.give_back(batch.user, sender.channel, began)
        return error

    def _seconds_to_next(self) -> float:
        now = self._clock.now()
        with self._app.app_context():
            due = Notification.next_due(now + timedelta(seconds=MAX_WAIT_SECONDS))
        return MAX_WAIT_SECONDS if due is None else max((due - now).total_seconds(), 0.1)

    def _wake(self, _sender: object, events: Sequence[Notification]) -> None:
        if any(event.is_to_be_sent for event in events):
            self._work.set()


@dataclass(frozen=True, slots=True)
class _UserBatch:
    """One user's part of a batch; `available_margins` are rupees by name of the portfolio."""

    user: User | None
    preferences: Preferences
    notifications: list[Notification]
    available_margins: Mapping[str, Decimal]


class _Batch:
    """The claimed notifications, by user, while this worker's lease lasts."""

    def __init__(self, claim: Claim, clock: Clock, *, balances: bool) -> None:
        self._mark = claim.mark
        self._clock = clock
        self._reads_balances = balances
        self._waiting: dict[str, list[Notification]] = defaultdict(list)
        for notification in claim.notifications:
            self._waiting[notification.user_id].append(notification)
        self._read_users()

    def next_user_batch(self) -> _UserBatch | None:
        """Return the batch of the next user, None after the last.

        Users and preferences are at most RENEW_SECONDS old, so that a channel that was switched
        off meanwhile is off.
        """
        if self._clock.monotonic() - self._read_at >= RENEW_SECONDS:
            self._extend_lease(self._clock.now() + LEASE)
            self._read_users()
        if not self._waiting:
            return None
        user_id = next(iter(self._waiting))
        inbox = self._inboxes.get(user_id)
        return _UserBatch(
            self._users.get(user_id),
            inbox.preferences if inbox else Preferences(),
            self._waiting.pop(user_id),
            self._balances.get(user_id, {}),
        )

    def release(self) -> None:
        """End the lease, so that another worker can claim the rest."""
        self._extend_lease(self._clock.now())

    def _extend_lease(self, until: datetime) -> None:
        owners = {
            notification.id: user_id
            for user_id, notifications in self._waiting.items()
            for notification in notifications
        }
        ours = Notification.extend(self._mark, owners, until) if owners else set()
        kept = {
            user_id: [notification for notification in notifications if notification.id in ours]
            for user_id, notifications in self._waiting.items()
        }
        self._waiting = {user_id: batch for user_id, batch in kept.items() if batch}

    def _read_users(self) -> None:
        user_ids = list(self._waiting)
        self._users = {user.client_id: user for user in User.find_many(user_ids)}
        self._inboxes = Inbox.find_many(user_ids)
        self._balances = Portfolio.available_margins(user_ids) if self._reads_balances else {}
        self._read_at = self._clock.monotonic()
