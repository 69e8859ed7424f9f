"""Email and SMS: the outbox of notifications and the senders it works through."""

from app.delivery.outbox import Outbox
from app.delivery.senders import DeliveryError, Message, Sender, create_senders

__all__ = ["DeliveryError", "Message", "Outbox", "Sender", "create_senders"]
