"""Web origins and host names, as in the configuration and in requests.

Both are normalized to the form that browsers send and then compared as text. No pattern, prefix
or regular expression decides who may read a response.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

import idna

DEFAULT_ORIGINS = (
    "http://localhost:3000",
    "http://localhost:5173",
    "http://127.0.0.1:3000",
    "http://127.0.0.1:5173",
)
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# Pages of browsers have http or https. The others are apps and extensions.
ORIGIN_SCHEMES = frozenset(
    {"http", "https", "app", "capacitor", "ionic", "tauri", "vscode-webview"}
    | {"chrome-extension", "moz-extension", "safari-web-extension"}
)
HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


def parse_origins(text: str) -> tuple[str, ...]:
    """Return the origins of a comma separated list; raise ValueError if one can never match."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if "*" in parts:
        return ("*",)
    return tuple(dict.fromkeys(_listed_origin(part) for part in parts))


def _listed_origin(text: str) -> str:
    if text[0] in "[{\"'" or text[-1] in "}\"'":
        raise ValueError("is a comma separated list of origins without brackets or quotes")
    if "*" in text:
        raise ValueError(f"{text!r} would match nothing: name each origin in full, not by wildcard")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in ORIGIN_SCHEMES:
        raise ValueError(f"{text!r} must begin with http:// or https://")
    if set(rest.removesuffix("/")) & set("/?#"):
        raise ValueError(f"{text!r} must end after the host or the port: an origin has no path")
    origin = normalize_origin(text.removesuffix("/"))
    if origin is None:
        raise ValueError(f"{text!r} is not scheme://host or scheme://host:port")
    return origin


def normalize_origin(text: str) -> str | None:
    """Return an origin as browsers send it, without a default port; None if it is invalid."""
    parts = _split(text)
    if parts is None or not parts.scheme or parts.path or parts.query or parts.fragment:
        return None
    host = host_of(parts.netloc)
    if host is None:
        return None
    # `_split` has checked the port.
    port = parts.port if parts.port != DEFAULT_PORTS.get(parts.scheme) else None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")


def host_of(netloc: str) -> str | None:
    """Return the host of host:port in the form that browsers send, without brackets."""
    if not netloc or set(netloc) & set("@/?#\\"):
        return None
    parts = _split(f"//{netloc}")
    name = (parts.hostname if parts else None) or ""
    if ":" in name:
        return _address(name)
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            return None
    return name if HOST_NAME.fullmatch(name) else None


def parse_hosts(text: str) -> tuple[str, ...]:
    """Return the host names of a comma separated list; raise ValueError if one is invalid.

    `*` stands for every host, and a leading dot for every name below the rest.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(_listed_host(part) for part in parts))


def _listed_host(text: str) -> str:
    if text == "*":
        return text
    bare = text.removeprefix(".")
    host = _address(bare.strip("[]")) if ":" in bare else host_of(bare)
    if host is None or (text.startswith(".") and is_address(host)):
        raise ValueError(
            f"{text!r} is not a host name: leave out the scheme, the port and the path, "
            "and begin with a dot to allow every name below one, such as .example.com"
        )
    return f".{host}" if text.startswith(".") else host.removesuffix(".")


def is_address(host: str) -> bool:
    """Return whether a host is an IP address, not a name."""
    return _address(host) is not None


def is_loopback(host: str) -> bool:
    """Return whether a host is always this machine."""
    address = _address(host.strip("[]"))
    if address is not None:
        return ipaddress.ip_address(address).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def hosts_of(origins: Iterable[str]) -> set[str]:
    """Return the hosts of origins."""
    split = (_split(origin) for origin in origins if origin != "*")
    return {parts.hostname for parts in split if parts and parts.hostname}


def _split(text: str) -> SplitResult | None:
    if any(character.isspace() or not character.isprintable() for character in text):
        return None
    try:
        parts = urlsplit(text.lower())
        # Reading an invalid port raises ValueError.
        is_usable = parts.port is None or parts.port >= 1
    except ValueError:
        return None
    return parts if is_usable else None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
