"""Messages by SMS: whole lines in one segment."""

from __future__ import annotations

import re

import pytest

from app.delivery.messages import compose
from app.delivery.segments import cut, fits_segment
from tests.support.messages import BALANCE, OPENED, closed, notification


@pytest.mark.parametrize("count", [2, 5, 40, 500])
def test_a_digest_by_sms_is_one_segment_of_whole_lines_and_ends_with_the_balance(
    count: int,
) -> None:
    lines = compose("A", [notification("It rose.")] * count, BALANCE).sms.splitlines()

    assert fits_segment("\n".join(lines))
    assert lines[-1] == "Available margin now: Rs 1,23,456.50."
    listed = lines.count("It rose.")
    assert listed >= 2
    rest = [f"... and {count - listed} more."] if listed < count else []
    assert lines[1 + listed : -1] == rest


def test_a_digest_of_long_events_still_fits_into_an_sms() -> None:
    message = compose("A", [notification("x" * 2_000), notification("y " * 1_000)], BALANCE)

    assert message.sms == ("Paper trading: 2 events.\nAvailable margin now: Rs 1,23,456.50.")


def test_an_sms_about_a_trade_is_in_gsm_7() -> None:
    # https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
    for event in (OPENED, closed(), closed("target", "10"), closed("user", "0")):
        sms = compose("Ünal", [event], BALANCE).sms
        assert sms.isascii()
        assert "`" not in sms
        assert fits_segment(sms)


@pytest.mark.parametrize("length", range(150, 170))
def test_an_sms_is_cut_between_words(length: int) -> None:
    text = " ".join(["word"] * 400)[:length]

    kept = cut(text)

    assert len(kept) <= 160
    if length <= 160:
        assert kept == text
    else:
        assert re.fullmatch(r"(word )*word\.\.\.", kept)
        assert len(kept) > 160 - len("word ...")


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("a" * 500, 160),
        # Each takes two units of GSM-7.
        ("[" * 500, 81),
        ("€" * 500, 81),
        ("नमस्ते " * 99, 70),
        ("🙂" * 99, 36),
        # Characters outside GSM-7 that are cut away do not count.
        ("b" * 155 + "🙂🙂🙂🙂🙂🙂", 158),
        ("\u201cit\u2019s \u2014 up\u2026\u201d " * 50, 160),
    ],
)
def test_an_sms_is_one_segment_in_either_encoding(text: str, characters: int) -> None:
    message = compose("Asha", [notification(text)], BALANCE)

    for sms in (cut(text), message.sms):
        assert fits_segment(sms)
    assert characters - 12 <= len(cut(text)) <= characters


def test_a_single_word_too_long_for_an_sms_is_cut() -> None:
    assert cut("x" * 5_000) == "x" * 157 + "..."
