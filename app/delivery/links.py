"""Removes links from text that users wrote: messages come from the operator's address."""

from __future__ import annotations

import re

from app.delivery.summaries import one_line

REMOVED = "[link removed]"
# The name for a user whose own name contains a link.
ANONYMOUS = "Trader"
_DOT = "[.\u3002\uff0e\uff61]"
# Text that mail programs and phones turn into links. A match begins at the start of a word, so
# that a long text is not searched from each character.
_LINK = re.compile(
    rf"""
    (?<![\w.+@-])(?:
        [a-z][a-z0-9+.-]*:/+\S+
      | (?:mailto|tel|sms|data|javascript):\S+
      | (?:[\w.+-]+@)?(?:[\w-]+{_DOT})+(?:[^\W\d_]{{2,63}}|xn--[\w-]+)(?::\d+)?(?:[/?\#]\S*)?
      | \d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?(?:[/?\#]\S*)?
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
# RELIANCE.NS is a symbol, not a domain.
_SYMBOL = re.compile(r"[A-Z0-9&_-]+\.(?:NS|BO)")


def without_links(text: str) -> str:
    """Return the text with each link, address and domain replaced by a note."""
    return _LINK.sub(lambda link: link[0] if _SYMBOL.fullmatch(link[0]) else REMOVED, text)


def display_name(name: str) -> str:
    """Return the name to address a user by: one line, and no link."""
    # Invisible characters may hide a link from the pattern, but not from a mail program.
    visible = "".join(c for c in name if c.isprintable())
    return one_line(name) if without_links(visible) == visible else ANONYMOUS
