"""Email and SMS: the outbox, its messages and their templates, and the senders."""

from app.delivery.email import EmailSender
from app.delivery.messages import Message
from app.delivery.outbox import Outbox
from app.delivery.senders import DeliveryError, RecordingSender, Sender
from app.delivery.sms import SmsSender
from config import Settings

__all__ = ["DeliveryError", "Message", "Outbox", "Sender", "create_senders"]


def create_senders(settings: Settings) -> list[Sender]:
    """Return a sender for each channel: one that only records if the channel has no credentials."""
    email = EmailSender(settings) if settings.sends_email else RecordingSender("email")
    sms = SmsSender(settings) if settings.sends_sms else RecordingSender("sms")
    return [email, sms]
