"""Links in what users write: none goes out, since messages come from the operator's address."""

from __future__ import annotations

import re

from app.delivery.summaries import one_line

REMOVED = "[link removed]"
# Who has a link for a name is not called by it.
ANONYMOUS = "Trader"
_DOT = "[.\u3002\uff0e\uff61]"
# What mail programs and telephones make a link of. It begins at the beginning of a word, so that
# a long text is not searched from each of its characters.
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
# RELIANCE.NS is a share.
_SYMBOL = re.compile(r"[A-Z0-9&_-]+\.(?:NS|BO)")


def without_links(text: str) -> str:
    """Return the text with a note in place of each link, address and domain."""
    return _LINK.sub(lambda link: link[0] if _SYMBOL.fullmatch(link[0]) else REMOVED, text)


def display_name(name: str) -> str:
    """Return the name to call a user by: one line, and no link."""
    # What is invisible may break a link for us, and not for a mail program.
    visible = "".join(c for c in name if c.isprintable())
    return one_line(name) if without_links(visible) == visible else ANONYMOUS
