"""Send an email, an SMS and a webhook in an async mode.

Print how often another greenlet ran meanwhile.
"""

from __future__ import annotations

import itertools
import os

from app.configuration.environment import read_environment
from run import patch_for_async_mode

patch_for_async_mode(read_environment())

import threading  # noqa: E402
import time  # noqa: E402

from app.delivery.email import EmailSender  # noqa: E402
from app.delivery.sms import SmsSender  # noqa: E402
from app.webhooks.client import WebhookClient  # noqa: E402
from config import load_settings  # noqa: E402
from tests.support.messages import ALICE, saying  # noqa: E402

BEAT_SECONDS = 0.02


def post_webhook() -> None:
    WebhookClient(["localhost"]).post(os.environ["WEBHOOK_URL"], {}, b"{}")


def main() -> None:
    settings = load_settings()
    implicit = os.environ.get("IMPLICIT_TLS") == "1"
    beats: list[float] = []
    done = threading.Event()

    def beat() -> None:
        while not done.is_set():
            beats.append(time.monotonic())
            time.sleep(BEAT_SECONDS)

    threading.Thread(target=beat, daemon=True).start()
    webhook = threading.Thread(target=post_webhook)
    webhook.start()
    email = EmailSender(settings, tls_port=settings.smtp_port if implicit else 465)
    email.send(ALICE, saying("By email."))
    SmsSender(settings).send(ALICE, saying("By SMS."))
    webhook.join()
    done.set()
    longest = max(later - earlier for earlier, later in itertools.pairwise(beats))
    print(f"{len(beats)} {longest:.3f}")


if __name__ == "__main__":
    main()
