"""The routing rules of the application."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import werkzeug.routing


class Rule(werkzeug.routing.Rule):
    """A rule whose builders of URLs are compiled when the first URL is built.

    Werkzeug compiles them with each rule, which takes most of the time of making the application.
    Nothing here builds a URL; an extension may.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = cache(super()._compile_builder)

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            url: tuple[str, str] = compiled(append_unknown)(rule, **values)
            return url

        return build
