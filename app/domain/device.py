"""The device of a session, as its user would name it."""

from __future__ import annotations

import re

UNKNOWN = "Unknown device"
MAX_LENGTH = 80
# Name by a part of the User-Agent header; the first that is found. Edge and Opera name Chrome too,
# Chrome names Safari, and Android names Linux.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_PRODUCT = re.compile(r"[\w.+-]+(?:/[\w.+-]+)?")


def describe_device(user_agent: str | None) -> str:
    """Return a browser and its system, such as `Firefox on Linux`, or the name of a program."""
    text = user_agent or ""
    browser = next((name for part, name in _BROWSERS if part in text), None)
    system = next((name for part, name in _SYSTEMS if part in text), None)
    if browser and system:
        return f"{browser} on {system}"
    product = _PRODUCT.match(text)
    return product.group().replace("/", " ")[:MAX_LENGTH] if product else UNKNOWN
