"""Delivery of events: the outbox of emails and SMS, with its senders, and webhooks."""

from app.delivery.email import EmailSender
from app.delivery.messages import Message
from app.delivery.outbox import Outbox
from app.delivery.senders import DeliveryError, RecordingSender, Sender
from app.delivery.sms import SmsSender
from app.delivery.webhooks import WebhookWorker
from config import Settings

__all__ = ["DeliveryError", "Message", "Outbox", "Sender", "WebhookWorker", "create_senders"]


def create_senders(settings: Settings) -> list[Sender]:
    """Return a sender for each channel: one that only records if the channel has no credentials."""
    email = EmailSender(settings) if settings.sends_email else RecordingSender("email")
    sms = SmsSender(settings) if settings.sends_sms else RecordingSender("sms")
    return [email, sms]
