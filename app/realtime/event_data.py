"""The `data` of each event as JSON Schema, made of the schemas of the REST API's views."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from app.alerts.schemas import AlertView
from app.api_keys.schemas import ApiKeyView
from app.auth.notices import AccountChange
from app.market.action_schemas import ActionView
from app.market.quote_schemas import QuoteResponse
from app.portfolio.funds_schemas import MovementResponse, ResetResponse
from app.portfolio.schemas import PortfolioResponse, SeasonView
from app.trades.views import TradeView
from app.webhooks.schemas import WebhookView

Schema = dict[str, Any]
Properties = dict[str, Schema]
Views = Mapping[type[BaseModel], Properties]
VIEWS: list[type[BaseModel]] = [
    ActionView,
    AlertView,
    ApiKeyView,
    MovementResponse,
    PortfolioResponse,
    QuoteResponse,
    ResetResponse,
    SeasonView,
    TradeView,
    WebhookView,
]

_FAILURES = {"type": "integer", "description": "The number of failed sign-ins.", "examples": [5]}
_CHANGE = {
    "type": "string",
    "enum": [change.value for change in AccountChange],
    "description": "What was changed.",
    "examples": ["password"],
}
_MESSAGE = {"type": "string", "description": "The text they sent.", "examples": ["Review trades."]}
_HOST = {"type": "string", "description": "The host of its URL.", "examples": ["bot.example.com"]}
# What every event of an order has of it.
ORDER = "order_type limit_price stop_price time_in_force queued_for expires_at"
TRAILING = ("trailing_offset", "trailing_pct", "trailing_step")
# What the data of an event may lack.
OPTIONAL = {"settled_from", "best_price", "trailing_stop", *TRAILING}


def event_data(views: Views) -> dict[str, Properties]:
    """Return the properties of the `data` of each event, from those of `VIEWS`."""
    return {
        **_entry_data(views),
        **_exit_data(views),
        **_portfolio_data(views),
        **_account_data(views),
        "price_alert": _alert_data(views[AlertView]),
        "custom": {"message": _MESSAGE},
    }


def _entry_data(views: Views) -> dict[str, Properties]:
    trade = views[TradeView]
    order = pick(trade, f"trade_id portfolio symbol trade_type quantity {ORDER}")
    trailing = {name: _never_null(trade[name]) for name in TRAILING}
    begun = {
        "trailing_stop": {
            **_never_null(trade["trailing_stop"]),
            "description": "Rupees at which a trailing stop that begins now closes it.",
        }
    }
    caused = {
        "quote": _quote(views, "The quote that caused it."),
        "settled_from": _never_null(trade["settled_from"]),
    }
    filled = pick(
        trade,
        "ordered_quantity rest_trade_id entry_price stop_loss target_price margin_used",
    )
    ended = order | {
        "reason": _never_null(trade["end_reason"]),
        "margin_released": {**trade["margin_used"], "description": "Rupees that it had blocked."},
    }
    modified = pick(
        trade,
        f"trade_id portfolio symbol trade_type quantity status version {ORDER} "
        "stop_loss target_price margin_used exit_queued",
    )
    return {
        "trade_created": _created(views, trailing | begun),
        "trade_filled": order | filled | trailing | begun | caused,
        "trade_triggered": order | caused,
        "trade_modified": modified | trailing | begun,
        "trade_adjusted": _adjusted(views, trailing | begun),
        "trade_cancelled": ended,
        "trade_expired": ended,
        "trade_rejected": ended,
    }


def _adjusted(views: Views, trailing: Properties) -> Properties:
    trade, action = views[TradeView], views[ActionView]
    return (
        pick(trade, "trade_id portfolio symbol trade_type quantity status version")
        | {"action": action["kind"]}
        | pick(action, "ex_date ratio amount")
        | pick(trade, f"{ORDER} entry_price stop_loss target_price")
        | trailing
        | {"pnl": {**_never_null(trade["pnl"]), "description": "Rupees that it booked."}}
        | pick(trade, "margin_used")
    )


def _created(views: Views, trailing: Properties) -> Properties:
    trade = views[TradeView]
    order = pick(
        trade,
        f"trade_id portfolio symbol trade_type quantity user_id oco_id split_from status {ORDER} "
        "stop_loss target_price",
    )
    opened = (
        pick(trade, "entry_price margin_used")
        | pick(views[PortfolioResponse], "available_margin")
        | pick(trade, "created_at")
    )
    return order | trailing | opened


def _exit_data(views: Views) -> dict[str, Properties]:
    trade = views[TradeView]
    closed = pick(trade, "trade_id portfolio symbol trade_type quantity") | {
        "reason": _never_null(trade["exit_reason"]),
        "exit_price": _never_null(trade["exit_price"]),
        "pnl": _never_null(trade["pnl"]),
        "quote": _quote(views, "The quote that closed it."),
        "settled_from": _never_null(trade["settled_from"]),
    }
    best_price = {
        **_never_null(trade["best_price"]),
        "description": "The best price that the trailing stop had followed, if one fired.",
    }
    return {
        "trade_partially_exited": closed | pick(trade, "open_quantity"),
        "trade_exited": closed,
        "trade_auto_closed": closed | {"best_price": best_price},
    }


def _portfolio_data(views: Views) -> dict[str, Properties]:
    moved = pick(
        views[MovementResponse],
        "movement_id portfolio amount available_margin season created_at",
    )
    reset = pick(
        views[ResetResponse],
        "portfolio season initial_margin available_margin exited cancelled reset_at",
    ) | {"ended": object_schema(views[SeasonView], "The season that ended.")}
    return {"funds_deposited": moved, "funds_withdrawn": moved, "portfolio_reset": reset}


def _account_data(views: Views) -> dict[str, Properties]:
    webhook = views[WebhookView]
    return {
        "sign_in_failures": {"failures": _FAILURES},
        "registration_attempted": pick(views[PortfolioResponse], "user_id"),
        "api_key_created": pick(views[ApiKeyView], "key_id scopes last4 expires_at"),
        "account_changed": {"change": _CHANGE},
        "webhook_disabled": {
            "webhook_id": webhook["webhook_id"],
            "host": _HOST,
            **pick(webhook, "failures failing_since"),
            "reason": _never_null(webhook["disabled_reason"]),
        },
    }


def _alert_data(alert: Properties) -> Properties:
    fired = ("direction", "price", "source", "timestamp", "settled_from")
    return pick(alert, "alert_id symbol above below") | {
        name: _never_null(alert[name]) for name in fired
    }


def _quote(views: Views, description: str) -> Schema:
    return object_schema(pick(views[QuoteResponse], "price source timestamp"), description)


def pick(properties: Properties, names: str) -> Properties:
    """Return the properties that a text of `names` lists."""
    return {name: properties[name] for name in names.split()}


def _never_null(schema: Schema) -> Schema:
    """Return the schema of a value that an event always has and the REST API may lack."""
    value = next(option for option in schema["anyOf"] if option != {"type": "null"})
    description = re.sub(r"(; |\. |; else )[Nn]ull.*$", ".", schema["description"])
    examples = schema.get("examples") or value["examples"]
    return {**value, "description": description, "examples": examples}


def object_schema(
    properties: Properties, description: str, optional: Collection[str] = OPTIONAL
) -> Schema:
    """Return the schema of an object that has all properties but the `optional` ones."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
    }
