"""Email and SMS: the outbox of notifications, what it says, and the senders it works through."""

from app.delivery.email import EmailSender
from app.delivery.messages import Message
from app.delivery.outbox import Outbox
from app.delivery.senders import DeliveryError, RecordingSender, Sender
from app.delivery.sms import SmsSender
from config import Settings

__all__ = ["DeliveryError", "Message", "Outbox", "Sender", "create_senders"]


def create_senders(settings: Settings) -> list[Sender]:
    """Return a sender for each channel: real with credentials, recording without."""
    email = EmailSender(settings) if settings.sends_email else RecordingSender("email")
    sms = SmsSender(settings) if settings.sends_sms else RecordingSender("sms")
    return [email, sms]
