"""Messages: their text in each form."""

from __future__ import annotations

import html.parser
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from app.delivery.messages import MAX_LINES, compose
from app.delivery.segments import fits_segment
from app.delivery.summaries import MAX_SUBJECT, summarize
from app.models import Notification
from tests.support.messages import BALANCE, OPENED, closed, notification, saying
from tests.support.quotes import NOON

WHY = (
    "This is paper trading: no real money is involved. You choose what is sent to you, by email "
    "or SMS, in your notification preferences."
)
MOVED = notification(
    "Deposited ₹25,000.00 in swing.",
    "funds_deposited",
    portfolio="swing",
    amount=Decimal("25000.00"),
    available_margin=Decimal("75000.00"),
)
RESET = notification(
    "Portfolio reset: season 1 ended with ₹93,749.60, season 2 begins with ₹1,00,000.00.",
    "portfolio_reset",
    portfolio="default",
    season=2,
    initial_margin=Decimal("100000.00"),
    available_margin=Decimal("100000.00"),
    ended={"number": 1, "total_pnl": Decimal("-6250.40"), "balance": Decimal("93749.60")},
)


class Page(html.parser.HTMLParser):
    """The text of a page, and everything in it that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [f"{name}={value}" for name, value in attributes]

    def handle_data(self, text: str) -> None:
        self.shown.append(text)


def test_a_message_about_a_deposit_names_the_portfolio_of_its_balance() -> None:
    message = compose("Asha Rao", [MOVED], BALANCE)

    assert message.subject == "Deposited ₹25,000.00"
    assert "Available margin (swing): ₹75,000.00" in message.text
    assert message.sms == (
        "Paper trading: Deposited Rs 25,000.00 in swing. Available margin (swing): Rs 75,000.00."
    )


def test_a_message_about_a_reset_has_the_result_of_the_season() -> None:
    message = compose("Asha Rao", [RESET], BALANCE)

    assert message.subject == "Portfolio reset: season 2 begins with ₹1,00,000.00"
    assert "P&L of season 1: -₹6,250.40" in message.text
    assert "End of season 1: ₹93,749.60" in message.text
    assert fits_segment(message.sms)


def test_a_digest_has_the_balance_of_each_portfolio_that_it_is_about() -> None:
    margins = {"default": Decimal(1), "swing": Decimal(2), "other": Decimal(3)}
    message = compose("Asha Rao", [OPENED, MOVED], margins)

    assert "Available margin now: ₹1.00" in message.text
    assert "Available margin now (swing): ₹2.00" in message.text
    assert "other" not in message.text


def test_a_message_about_an_entry_has_its_price_levels_and_the_balance_after_it() -> None:
    message = compose("Asha Rao", [OPENED], BALANCE)

    assert message.subject == "Bought 2 ^NSEI at ₹25,000.00"
    assert message.text == (
        "Hello Asha Rao,\n\n"
        "Bought 2 ^NSEI at ₹25,000.00 with stop-loss ₹24,900.00.\n\n"
        "Trade: BUY 2 ^NSEI\n"
        "Entry price: ₹25,000.00\n"
        "Stop-loss: ₹24,900.00\n"
        "Margin blocked: ₹10,000.00\n"
        "Time: 23 Nov 2026, 17:30:00 IST\n"
        "Available margin: ₹90,000.00\n\n"
        f"-- \n{WHY}\n"
    )
    assert message.sms == (
        "Paper trading: Bought 2 ^NSEI at Rs 25,000.00 with stop-loss Rs 24,900.00. "
        "Available margin: Rs 90,000.00."
    )


@pytest.mark.parametrize(
    ("reason", "pnl", "subject"),
    [
        ("stop_loss", "-10.50", "Stop-loss hit: SELL 1 ^NSEI, loss ₹10.50"),
        ("target", "123456.50", "Target reached: SELL 1 ^NSEI, profit ₹1,23,456.50"),
        ("user", "0.00", "Exited: SELL 1 ^NSEI, no profit, no loss"),
    ],
)
def test_a_message_about_an_exit_has_its_result_and_the_balance_now(
    reason: str, pnl: str, subject: str
) -> None:
    message = compose("Asha Rao", [closed(reason, pnl)], BALANCE)

    assert message.subject == subject
    assert "Exit price: ₹25,010.50\n" in message.text
    assert "Available margin now: ₹1,23,456.50\n" in message.text
    assert message.sms.endswith(". Available margin now: Rs 1,23,456.50.")


def test_a_message_about_an_alert_has_its_price() -> None:
    alert = notification(
        "NIFTY rose.", "price_alert", symbol="^NSEI", price=Decimal("25100.00"), timestamp=NOON
    )

    message = compose("Asha Rao", [alert], {})

    assert message.subject == "Price alert: ^NSEI at ₹25,100.00"
    assert "Price: ₹25,100.00" in message.text
    assert "Available" not in message.text + message.sms


def test_a_message_about_an_exit_from_a_gap_has_the_time_of_the_exit() -> None:
    event = closed()
    event.data["settled_from"] = "gap"
    event.data["quote"] = {"timestamp": NOON - timedelta(hours=2)}

    assert "Time: 23 Nov 2026, 15:30:00 IST" in compose("Asha Rao", [event], {}).text


def ordered(type: str, **data: object) -> Notification:
    """Return an event of a limit order that waits, or waited."""
    return notification(
        "Your LIMIT order to buy 2 ^NSEI at ₹24,900.00 ...",
        type,
        trade_type="BUY",
        quantity=2,
        symbol="^NSEI",
        order_type="LIMIT",
        limit_price=Decimal("24900.00"),
        stop_price=None,
        stop_loss=None,
        target_price=Decimal("25500.00"),
        margin_used=Decimal("9960.00"),
        margin_released=Decimal("9960.00"),
        **data,
    )


@pytest.mark.parametrize(
    ("event", "subject", "lines"),
    [
        (
            ordered("trade_created", entry_price=None),
            "Order placed: LIMIT BUY 2 ^NSEI",
            ["Order: LIMIT BUY 2 ^NSEI", "Limit: ₹24,900.00", "Target: ₹25,500.00"],
        ),
        (
            ordered("trade_filled", entry_price=Decimal("24900.00")),
            "Bought 2 ^NSEI at ₹24,900.00",
            ["Entry price: ₹24,900.00", "Target: ₹25,500.00", "Margin blocked: ₹9,960.00"],
        ),
        (
            ordered(
                "trade_filled",
                entry_price=Decimal("24900.00"),
                ordered_quantity=8,
                rest_trade_id="6744a1f0c2d5e8b7a9f01236",
            ),
            "Bought 2 of 8 ^NSEI at ₹24,900.00",
            ["Entry price: ₹24,900.00", "Margin blocked: ₹9,960.00"],
        ),
        (ordered("trade_triggered"), "Order triggered: LIMIT BUY 2 ^NSEI", ["Limit: ₹24,900.00"]),
        (
            ordered("trade_cancelled"),
            "Order cancelled: LIMIT BUY 2 ^NSEI",
            ["Margin released: ₹9,960.00"],
        ),
        (
            ordered("trade_modified", status="PENDING"),
            "Order modified: LIMIT BUY 2 ^NSEI",
            ["Limit: ₹24,900.00", "Target: ₹25,500.00"],
        ),
        (
            ordered("trade_modified", status="ACTIVE"),
            "Trade modified: BUY 2 ^NSEI",
            ["Trade: BUY 2 ^NSEI", "Target: ₹25,500.00"],
        ),
        (ordered("trade_expired"), "Order expired: LIMIT BUY 2 ^NSEI", ["Limit: ₹24,900.00"]),
        (ordered("trade_rejected"), "Order rejected: LIMIT BUY 2 ^NSEI", ["Limit: ₹24,900.00"]),
    ],
)
def test_a_message_about_an_order_has_its_prices_and_its_margin(
    event: Notification, subject: str, lines: list[str]
) -> None:
    message = compose("Asha Rao", [event], BALANCE)

    assert message.subject == subject
    assert all(f"{line}\n" in message.text for line in lines), message.text


@pytest.mark.parametrize("type", ["trade_created", "trade_auto_closed", "price_alert", "x_y"])
def test_a_message_about_an_event_without_amounts_has_its_text(type: str) -> None:
    message = compose("Asha Rao", [notification("Look\nhere.", type, note="Look")], BALANCE)

    name = type.replace("_", " ").capitalize()
    assert message.subject == f"{name}: Look here."
    assert "Hello Asha Rao,\n\nLook\nhere.\n\nTime: " in message.text
    assert message.sms.startswith("Paper trading: Look\nhere. Available margin now: Rs 1,23,456")


def test_the_html_has_the_content_of_the_text_and_loads_nothing() -> None:
    message = compose("Asha Rao", [closed()], BALANCE)
    page = Page(message.html)

    shown = " ".join(page.shown)
    for words in (
        "Hello Asha Rao,",
        "a loss of ₹10.50.",
        "₹25,010.50",
        "-₹10.50",
        "₹1,23,456.50",
        WHY,
    ):
        assert words in shown
    assert not page.tags & {"img", "link", "script", "style", "a", "iframe", "form", "font"}
    assert not [
        attribute
        for attribute in page.attributes
        if re.search("url|http|^src=|^href=|^on", attribute)
    ]
    assert "content=light dark" in page.attributes


def test_the_html_leaves_background_and_text_colour_to_the_mail_program() -> None:
    page = compose("Asha Rao", [closed(), OPENED], BALANCE).html

    assert "background" not in page
    assert set(re.findall(r"color:(#\w+)", page)) == {"#767676"}
    assert "#d93025" in compose("Asha", [closed(pnl="-1")], {}).html
    assert "#188038" in compose("Asha", [closed(pnl="1")], {}).html


@pytest.mark.parametrize("colour", ["#767676", "#188038", "#d93025"])
@pytest.mark.parametrize("ground", [0.0, 1.0])
def test_each_colour_is_readable_on_white_and_on_black(colour: str, ground: float) -> None:
    # https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    lighter, darker = max(light, ground), min(light, ground)

    assert (lighter + 0.05) / (darker + 0.05) > 4


def test_markup_in_the_text_of_a_user_is_escaped() -> None:
    evil = "<script>alert(1)</script> & <img src=http://evil.example/x>\n</div>"
    message = compose(evil, [notification(evil, "<b>bold</b>")], {})
    page = Page(message.html)

    assert not page.tags & {"script", "img", "b"}
    shown = "<script>alert(1)</script> & <img src=[link removed]"
    assert shown in "".join(page.shown)
    assert shown in message.text
    assert "Hello Trader," in message.text


def test_several_events_are_one_message_in_order_with_their_total_result() -> None:
    events = [closed(pnl="-10.50"), OPENED, closed("target", "110.50")]

    message = compose("Asha Rao", events, BALANCE)

    assert message.subject == "3 events, in all profit ₹100.00"
    body = [event.message for event in events]
    assert message.text.startswith("Hello Asha Rao,\n\n" + "\n".join(body) + "\n\n")
    assert "Available margin now: ₹1,23,456.50" in message.text
    # The balance after one of them is not the balance after all of them.
    assert "90,000.00" not in message.text
    assert message.sms == (
        "Paper trading: 3 events, in all profit Rs 100.00.\nAvailable margin now: Rs 1,23,456.50."
    )
    assert message.events == 3


def test_an_email_lists_twenty_events_and_counts_the_rest() -> None:
    whole = compose("A", [notification(f"Event {n}.") for n in range(MAX_LINES)], {})
    longer = compose("A", [notification(f"Event {n}.") for n in range(MAX_LINES + 7)], {})

    assert "more." not in whole.text
    assert f"Event {MAX_LINES - 1}.\n... and 7 more.\n" in longer.text
    assert "... and 7 more." in longer.html
    assert longer.subject == f"{MAX_LINES + 7} events"


@pytest.mark.parametrize(
    "link",
    [
        "http://evil.example/x?y=1",
        "HTTPS://EVIL.EXAMPLE",
        "hxxp://evil.example",
        "www.evil.example",
        "evil.example",
        "evil.example/pay",
        "pay@evil.example",
        "mailto:pay@evil.example",
        "tel:+919876543210",
        "192.0.2.7/login",
        "http://192.0.2.7",
        "bücher.example",
        "xn--bcher-kva.example",
        "evil\u200b.example",
        "evil\u3002example",
        "evil.example:8080/x",
        "//evil.example",
    ],
)
def test_links_that_a_user_wrote_are_removed(link: str) -> None:
    for event in (
        notification(f"Claim your prize at {link} now", "prize"),
        notification(f"Claim your prize at {link}.", link),
        replace(notification(f"({link})", "trade_created"), data={"message": "..."}),
    ):
        message = compose(f"Winner {link}", [event], BALANCE)
        for text in (message.subject, message.text, message.html, message.sms):
            for part in ("evil", "192.0.2", "987654", "cher"):
                assert part not in text.lower()
        assert "[link removed]" in message.text
        assert "Hello Trader," in message.text


@pytest.mark.parametrize(
    "words", ["Sold RELIANCE.NS at 1,400.50.", "M&M.BO rose by 2.5 %", "at 15:30, e.g. now", "a/b"]
)
def test_text_and_symbols_that_are_not_links_stay_as_they_are(words: str) -> None:
    message = compose("Asha R. Rao", [notification(words)], {})

    assert f"Hello Asha R. Rao,\n\n{words}\n" in message.text


def test_an_email_ends_with_the_link_that_stops_the_emails() -> None:
    link = "https://desk.example/notifications/unsubscribe/x.y"
    message = compose("Asha", [OPENED], {}, link)

    assert message.stop_link == link
    assert message.text.endswith(f"{WHY}\nStop these emails: {link}\n")
    assert f'<a href="{link}"' in message.html


@pytest.mark.parametrize(
    "type",
    ["hello\r\nBcc: everyone@example.com", "a\u2028b", "line\nbreak", "tab\tbed", "\x00\x1b"],
)
def test_the_subject_is_one_printable_line_for_any_event(type: str) -> None:
    subject = summarize(notification(f"Hello.{type}", type)).subject

    assert len(subject.splitlines()) == 1
    assert subject.isprintable()


def test_a_long_event_is_shortened_only_in_the_subject() -> None:
    words = "word " * 300

    message = saying(words)

    assert len(message.subject) <= MAX_SUBJECT
    assert message.subject.endswith("...")
    assert words.strip() in message.text
