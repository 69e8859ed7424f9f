"""The variables of the server: those of the process, then those of .env.

Imported before everything else, so it imports nothing that loads slowly.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Collection, Mapping
from difflib import SequenceMatcher
from pathlib import Path

from dotenv import dotenv_values, find_dotenv
from dotenv.parser import parse_stream

ROOT = Path(__file__).resolve().parents[2]
# Minimum similarity at which a name in .env counts as a misspelled variable.
SIMILAR_IN_FILE = 0.8
# Higher, because the environment of the process has variables of other programs as well.
SIMILAR_IN_PROCESS = 0.85
SHORTEST_BEGINNING = 6
SHORTEST_NAME = 8
# First words that variables of other programs have as well.
COMMON_FIRST_WORDS = frozenset({"APP", "DATA", "FLASK", "HOST", "LOG", "PORT", "SECRET", "TEST"})
# Names in other programs. In the process, such a variable may belong to one of them.
OTHER_NAMES = {
    "MONGO_URL": "MONGO_URI",
    "MONGODB_URI": "MONGO_URI",
    "MONGODB_URL": "MONGO_URI",
    "REDIS_URI": "REDIS_URL",
    "SMTP_HOST": "SMTP_SERVER",
    "SMTP_PASS": "SMTP_PASSWORD",
    "SMTP_USER": "SMTP_USERNAME",
    "SMTP_SENDER": "SMTP_FROM",
    "TWILIO_SID": "TWILIO_ACCOUNT_SID",
    "TWILIO_TOKEN": "TWILIO_AUTH_TOKEN",
    "TWILIO_FROM": "TWILIO_PHONE_NUMBER",
    "TWILIO_NUMBER": "TWILIO_PHONE_NUMBER",
}


class ConfigurationError(Exception):
    """The environment is invalid; the message names every offence."""

    def __init__(self, offences: list[str]) -> None:
        self.offences = offences
        lines = "\n".join(f"  {offence}" for offence in offences)
        super().__init__(
            f"The configuration cannot be used:\n{lines}\n"
            "Set these in the environment or in .env; .env.example describes every variable."
        )


class Environment(dict[str, str]):
    """The variables by name, and the names that .env contains."""

    def __init__(self, values: Mapping[str, str], in_file: Collection[str] = ()) -> None:
        super().__init__(values)
        self.in_file = frozenset(in_file)


def read_environment(dotenv_file: Path | None = None) -> Environment:
    """Return the variables of .env, overridden by those of the process.

    Raises ConfigurationError if .env exists and cannot be read.
    """
    from_file = _read_file(dotenv_file or ROOT / ".env")
    set_by_flask = _set_by_flask()
    of_process = {
        name: value for name, value in os.environ.items() if value != set_by_flask.get(name)
    }
    return Environment({**from_file, **of_process}, from_file)


def find_misspelled(
    environ: Mapping[str, str], known: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return a sentence for each variable that looks like a misspelled one of `known`.

    The first list has the variables that are meant for this server, the second those that may
    belong to another program.
    """
    in_file = environ.in_file if isinstance(environ, Environment) else frozenset()
    certain, possible = [], []
    for name in sorted(set(environ) - set(known)):
        meant = _meant_in_file(name, known) if name in in_file else _meant(name, known)
        if meant is None:
            continue
        sentence = f"{name}: is not a variable of this server; did you mean {meant}?"
        if name in in_file or name not in OTHER_NAMES:
            certain.append(sentence)
        elif not environ.get(meant):
            possible.append(sentence)
    return certain, possible


def _read_file(path: Path) -> dict[str, str]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    text = _decode(path, raw)
    if "\0" in text:
        raise ConfigurationError([f"{path}: is not a text file; save it as UTF-8"])
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            text_before = binding.original.string.partition(binding.original.string.strip())[0]
            line = binding.original.line + text_before.count("\n")
            raise ConfigurationError([f"{path}, line {line}: must read NAME=value"])
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _decode(path: Path, raw: bytes) -> str:
    try:
        # Some editors write a byte order mark before UTF-8.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            fault = "UTF-16, as PowerShell and Notepad write it"
        else:
            line = raw.count(b"\n", 0, error.start) + 1
            fault = f"not UTF-8, first in line {line}"
        raise ConfigurationError([f"{path}: its text is {fault}; save it as UTF-8"]) from None


def _set_by_flask() -> Mapping[str, str | None]:
    """Return the variables that the `flask` command itself has set.

    It reads .env and .flaskenv in the current folder and the folders above it, which may belong to
    another project, and expands `${NAME}`. `python run.py` does neither.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true" or os.environ.get("FLASK_SKIP_DOTENV"):
        return {}
    values: dict[str, str | None] = {}
    for name in (".flaskenv", ".env"):
        if path := find_dotenv(name, usecwd=True):
            values |= dotenv_values(path)
    return values


def _meant_in_file(name: str, known: Collection[str]) -> str | None:
    capitals = name.upper()
    if capitals in known:
        return capitals
    if OTHER_NAMES.get(capitals) in known:
        return OTHER_NAMES[capitals]
    if name.partition("_")[0] in ("FLASK", "TEST"):
        return None
    return _most_similar(capitals, known, SIMILAR_IN_FILE) or _begun(capitals, known)


def _meant(name: str, known: Collection[str]) -> str | None:
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    if name.partition("_")[0] in COMMON_FIRST_WORDS or len(name) < SHORTEST_NAME:
        return None
    return _most_similar(name, known, SIMILAR_IN_PROCESS)


def _most_similar(name: str, known: Collection[str], similar: float) -> str | None:
    letters = Counter(name)
    ratios = {
        candidate: 1.0
        if sorted(candidate) == sorted(name)
        else SequenceMatcher(None, name, candidate).ratio()
        for candidate in known
        # An upper bound of the ratio, which is found much faster.
        if 2 * (letters & Counter(candidate)).total() / (len(name) + len(candidate)) >= similar
    }
    return max(
        (candidate for candidate, ratio in ratios.items() if ratio >= similar),
        key=lambda candidate: ratios[candidate],
        default=None,
    )


def _begun(name: str, known: Collection[str]) -> str | None:
    """Return a variable that begins with `name`, or with which it begins as in APP_ENVIRONMENT."""
    for candidate in sorted(known):
        shorter, longer = sorted((name, candidate), key=len)
        rest = longer.removeprefix(shorter)
        # An underscore begins another word, as in SMTP_FROM_NAME.
        may_end = longer == candidate or not rest.startswith("_")
        if rest != longer and len(shorter) >= SHORTEST_BEGINNING and may_end:
            return candidate
    return None
