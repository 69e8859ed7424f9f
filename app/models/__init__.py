"""The documents of the database and every query on them."""

from app.models.alert import Alert, AlertTrigger
from app.models.api_key import ApiKey
from app.models.code import CODE_LIFETIME, Code, CodePurpose
from app.models.erasure import Erasure
from app.models.follower import Followers
from app.models.idempotency import IdempotencyKey, IdempotencyRecord
from app.models.identity import Identity
from app.models.inbox import EventType, Inbox, Preferences
from app.models.instrument import InstrumentList
from app.models.late_write import LateWrite
from app.models.market_state import MarketState
from app.models.movement import Movement, MovementKind
from app.models.notification import Claim, EventDraft, Notification
from app.models.portfolio import Portfolio, PortfolioDelta
from app.models.quota import Quota
from app.models.season import Season
from app.models.second_factor import SecondFactor
from app.models.session import (
    KEY_PREFIX,
    UNSTORED_PREFIXES,
    Session,
    key_session_id,
    legacy_session_id,
)
from app.models.share_lease import SHARES, ShareLease, share_of
from app.models.symbol_state import SymbolState
from app.models.trade import Trade
from app.models.trade_changes import TradeChange, apply_changes
from app.models.trail import Trail
from app.models.user import User
from app.models.watchlist import Watchlists
from app.models.webhook import Webhook, WebhookWake
from app.models.webhook_delivery import (
    DeliveryAttempt,
    DeliveryOrigin,
    DeliveryStatus,
    WebhookDelivery,
)

__all__ = [
    "CODE_LIFETIME",
    "KEY_PREFIX",
    "SHARES",
    "UNSTORED_PREFIXES",
    "Alert",
    "AlertTrigger",
    "ApiKey",
    "Claim",
    "Code",
    "CodePurpose",
    "DeliveryAttempt",
    "DeliveryOrigin",
    "DeliveryStatus",
    "Erasure",
    "EventDraft",
    "EventType",
    "Followers",
    "IdempotencyKey",
    "IdempotencyRecord",
    "Identity",
    "Inbox",
    "InstrumentList",
    "LateWrite",
    "MarketState",
    "Movement",
    "MovementKind",
    "Notification",
    "Portfolio",
    "PortfolioDelta",
    "Preferences",
    "Quota",
    "Season",
    "SecondFactor",
    "Session",
    "ShareLease",
    "SymbolState",
    "Trade",
    "TradeChange",
    "Trail",
    "User",
    "Watchlists",
    "Webhook",
    "WebhookDelivery",
    "WebhookWake",
    "apply_changes",
    "key_session_id",
    "legacy_session_id",
    "share_of",
]
