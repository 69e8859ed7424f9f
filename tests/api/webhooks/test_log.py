"""The log of a webhook, and what is delivered again."""

from __future__ import annotations

from typing import Any

from app.database import collection
from app.delivery import WebhookWorker
from tests.fakes.endpoint import Endpoint
from tests.support.responses import (
    assert_error,
)
from tests.support.users import Trader
from tests.support.webhook_requests import (
    HOOKS,
    change,
    log,
    notify,
    show,
)


def test_events_after_a_seq_are_delivered_again_in_order(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    notify(alice, 3)
    worker.run_once()

    change(alice, hook, after_seq=1)
    worker.run_once()

    assert endpoint.seqs == [1, 2, 3, 2, 3]
    assert endpoint.received[3].json == endpoint.received[1].json


def test_a_seq_beyond_the_last_event_skips_the_events_so_far(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    endpoint.statuses = [400]
    notify(alice, 3)
    worker.run_once()
    (pending,) = log(alice, hook)

    assert change(alice, hook, after_seq=1_000).get_json()["last_seq"] == 3
    notify(alice)
    worker.run_once()

    assert endpoint.seqs == [1, 4]
    assert [each["status"] for each in log(alice, hook)] == ["delivered", "failed"]
    assert pending["status"] == "pending"


def test_the_log_is_listed_by_page_and_by_status(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    notify(alice, 4)
    endpoint.statuses = [200, 200, 200, 500]
    worker.run_once()

    path = f"{HOOKS}/{hook['webhook_id']}/deliveries"
    first = alice.get(f"{path}?limit=3").get_json()
    rest = alice.get(f"{path}?limit=3&cursor={first['next_cursor']}").get_json()

    assert [each["seq"] for each in first["deliveries"]] == [4, 3, 2]
    assert [each["seq"] for each in rest["deliveries"]] == [1]
    assert rest["next_cursor"] is None
    assert [each["seq"] for each in log(alice, hook, "?status=pending")] == [4]
    assert [each["seq"] for each in log(alice, hook, "?status=delivered")] == [3, 2, 1]


def test_one_delivery_is_replayed_with_the_same_id(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    notify(alice, 2)
    worker.run_once()
    first = log(alice, hook)[-1]

    answer = alice.post(
        f"{HOOKS}/{hook['webhook_id']}/deliveries/{first['delivery_id']}/replay"
    ).get_json()

    assert (answer["origin"], answer["seq"], answer["status"]) == ("replay", 1, "delivered")
    original, _, again = endpoint.received
    assert again.body == original.body
    assert again.headers["webhook-id"] == original.headers["webhook-id"]
    # The webhook itself goes on where it was.
    assert show(alice, hook)["last_seq"] == 2
    assert worker.run_once() == 0


def test_a_replay_needs_a_delivery_and_its_event(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    notify(alice)
    worker.run_once()
    path = f"{HOOKS}/{hook['webhook_id']}/deliveries"
    collection("notifications").delete_many({})

    assert_error(alice.post(f"{path}/{'0' * 24}/replay"), 404, "delivery_not_found")
    answer = alice.post(f"{path}/{log(alice, hook)[0]['delivery_id']}/replay")
    assert_error(answer, 409, "event_deleted")
