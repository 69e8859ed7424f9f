"""The search of instruments by symbol, name, short name and ISIN, tolerant of one typo.

It looks up words in sorted lists, and scans one text for parts of words.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from string import ascii_uppercase

from app.domain.instrument import Instrument

_BETWEEN_WORDS = re.compile(r"[\s,./()+_-]+")
# People write M&M and MM, REDDY'S and REDDYS.
_UNWRITTEN = re.compile("[&'\N{RIGHT SINGLE QUOTATION MARK}]")
_IGNORED = frozenset({"AND", "LTD", "LIMITED"})
# Sorts after every other character.
_LAST = chr(0x10FFFF)

# A shorter word with a typo could be nearly any other, and the beginning of a longer one as well.
MIN_TYPO = 4
MIN_TYPO_BEGINNING = 5
# Longer words must be spelled correctly.
MAX_TYPO = 20

Lookup = Callable[[str], Iterable[int]]


class SearchIndex:
    """Listed instruments, each at a place by which those that match equally well are ordered."""

    def __init__(
        self, instruments: Sequence[Instrument], aliases: Mapping[str, Sequence[str]]
    ) -> None:
        """Index instruments, with the aliases of some by symbol, all in capitals."""
        self._instruments = instruments
        symbols: list[tuple[str, int]] = []
        names: list[tuple[str, int]] = []
        words: list[tuple[str, int]] = []
        texts = []
        for place, each in enumerate(instruments):
            ticker, own = each.ticker, _short_names(each, aliases)
            written = dict.fromkeys([ticker, each.name.upper(), *own])
            isin = [each.company.isin] if each.company else []
            whole = dict.fromkeys([*map(compact, written), *isin])
            parts = {word for name in written for word in split(name)}
            symbols += [(key, place) for key in {each.symbol, ticker, compact(ticker)}]
            names += [("".join(split(name)), place) for name in written if name != ticker]
            words += [(word, place) for word in parts.union(whole)]
            texts.append(" ".join(whole))
        self._symbols = _Keys(symbols)
        self._names = _Keys(names)
        self._words = _Keys(words)
        self._text = "\n".join(texts)
        self._begins = array("I", _begins(texts))

    def find(self, text: str) -> Iterator[Instrument]:
        """Return the instruments that match a text in capitals, best first, each once."""
        seen: set[int] = set()
        for places in self._matches(text):
            for place in places:
                if place not in seen:
                    seen.add(place)
                    yield self._instruments[place]

    def _matches(self, text: str) -> Iterator[Iterable[int]]:
        """Return the places of matches: the exact symbol, then less and less exact ones."""
        said = split(text)
        whole, name, words = compact(text), "".join(said), list(dict.fromkeys(said))
        symbols, names = self._symbols, self._names
        yield _union(symbols.equal, {text, whole})
        good = [
            _union(symbols.beginning, {text, whole}),
            _union(names.beginning, {name}),
            self._with_all(words, self._words.beginning),
        ]
        yield from good
        yield self._containing(words or [whole])
        if "." in text:
            # Otherwise "NS" would match every share of NSE.
            yield (place for place, each in enumerate(self._instruments) if text in each.symbol)
        if not any(good):
            yield _union(names.beginning, _variants(name, MIN_TYPO_BEGINNING))
            yield self._with_all(words, self._misspelled)
            yield self._with_all(words, self._misspelled_beginning)

    def _with_all(self, words: Sequence[str], look_up: Lookup) -> list[int]:
        """Return the places at which every word is found, in any order."""
        if not words:
            return []
        found = set(look_up(words[0]))
        for word in words[1:]:
            if found:
                found.intersection_update(look_up(word))
        return sorted(found)

    def _containing(self, words: Sequence[str]) -> Iterator[int]:
        """Return the places whose text contains every word anywhere."""
        rarest = max(words, key=len, default="")
        at = self._text.find(rarest) if rarest else -1
        while at >= 0:
            place = bisect_right(self._begins, at) - 1
            begin, end = self._begins[place : place + 2]
            if all(self._text.find(word, begin, end) >= 0 for word in words):
                yield place
            at = self._text.find(rarest, end)

    def _misspelled(self, word: str) -> set[int]:
        """Return the places with words like this one but for a typo, or that begin with it."""
        found = set(self._words.beginning(word))
        return found.union(*(self._words.equal(variant) for variant in _variants(word)))

    def _misspelled_beginning(self, word: str) -> set[int]:
        """Return the places with words that begin with this one but for a typo."""
        found = set(self._words.beginning(word))
        variants = _variants(word, MIN_TYPO_BEGINNING)
        return found.union(*(self._words.beginning(variant) for variant in variants))


class _Keys:
    """Keys in order, each with a place; an array keeps 200,000 places in a megabyte."""

    def __init__(self, pairs: list[tuple[str, int]]) -> None:
        pairs.sort()
        self._keys = [key for key, _ in pairs]
        self._places = array("I", [place for _, place in pairs])

    def equal(self, key: str) -> Iterable[int]:
        return self._between(key, bisect_right(self._keys, key))

    def beginning(self, text: str) -> Iterable[int]:
        return self._between(text, bisect_left(self._keys, text + _LAST))

    def _between(self, first: str, end: int) -> Iterable[int]:
        return self._places[bisect_left(self._keys, first, 0, end) : end]


def compact(text: str) -> str:
    """Return a text in one word: M&M is MM, and BAJAJ-AUTO is BAJAJAUTO."""
    return text if _is_word(text) else _BETWEEN_WORDS.sub("", _UNWRITTEN.sub("", text))


def split(text: str) -> list[str]:
    """Return the words of a text in capitals, without those that say nothing."""
    if _is_word(text):
        return [] if text in _IGNORED else [text]
    words = _BETWEEN_WORDS.split(_UNWRITTEN.sub("", text))
    return [word for word in words if word and word not in _IGNORED]


def _is_word(text: str) -> bool:
    return text.isalnum() and text.isascii()


def _short_names(instrument: Instrument, aliases: Mapping[str, Sequence[str]]) -> list[str]:
    company = instrument.company
    own = [name.upper() for name in company.short_names] if company else []
    return [*own, *aliases.get(instrument.symbol, ())]


def _begins(texts: Iterable[str]) -> Iterator[int]:
    """Return where each text begins when all are joined by a line feed, and the end."""
    begin = 0
    for text in texts:
        yield begin
        begin += len(text) + 1
    yield begin


def _union(look_up: Lookup, keys: Iterable[str]) -> list[int]:
    """Return the places of keys, except the empty one: every key begins with it."""
    return sorted({place for key in keys if key for place in look_up(key)})


def _variants(word: str, shortest: int = 0) -> set[str]:
    """Return what a word with one typo may mean: a letter too many, too few or wrong, two swapped.

    Those with less than `shortest` letters are left out, and numbers are not guessed. After Peter
    Norvig, https://norvig.com/spell-correct.html.
    """
    if not word.isalpha() or not MIN_TYPO <= len(word) <= MAX_TYPO:
        return set()
    halves = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    changed = {left + right[1:] for left, right in halves if right}
    changed |= {left + right[1] + right[0] + right[2:] for left, right in halves if right[1:]}
    for letter in ascii_uppercase:
        changed |= {left + letter + right for left, right in halves}
        changed |= {left + letter + right[1:] for left, right in halves if right}
    return {each for each in changed if len(each) >= shortest}
