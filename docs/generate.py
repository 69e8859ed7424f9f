"""Write the reference of docs/api.md and docs/events.md from /openapi.json and /asyncapi.json.

Run it with `make docs`. A test compares the pages with what this module returns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from app.api_keys import routes as api_keys
from app.auth import account_routes as account
from app.auth import routes as auth
from app.auth import second_factor_routes as second_factor
from app.auth import session_routes as sessions
from app.market import routes as market
from app.notifications import routes as notifications
from app.portfolio import routes as portfolio
from app.realtime import asyncapi
from app.trades import routes as trades
from app.watchlists import routes as watchlists
from app.web import health, openapi
from app.web.api import JSON
from app.web.error_codes import (
    ANY_ROUTE,
    ERROR_CODES,
    OF_WRITES,
    WITH_BODY,
    WITH_INPUT,
    WITH_KEY,
    WITH_TOKEN,
)
from app.webhooks import routes as webhooks

DOCS = Path(__file__).parent
MARK = "<!-- Generated from here on: run `make docs` after a change of the code. -->\n"
HOST = "127.0.0.1:5000"
# What these pages show once for all routes.
COMMON = {"not_found"}.union(
    *(
        codes
        for group in (ANY_ROUTE, OF_WRITES, WITH_BODY, WITH_INPUT, WITH_KEY, WITH_TOKEN)
        for codes in group.values()
    )
)

Object = Mapping[str, Any]


def main() -> None:
    """Rewrite both pages."""
    app = Flask(__name__)
    accounts = (auth, sessions, account, second_factor, api_keys)
    for routes in (
        *accounts,
        *(portfolio, trades, notifications, webhooks, market, watchlists, health),
    ):
        app.register_blueprint(routes.blueprint)
    openapi.init_app(app)
    with app.app_context():
        write("api.md", api_reference(openapi.openapi()))
    write("events.md", events_reference(asyncapi.make_document(HOST, asyncapi.make_schemas())))


def write(page: str, reference: str) -> None:
    """Replace what a page has after its mark."""
    path = DOCS / page
    path.write_text(path.read_text().partition(MARK)[0] + MARK + reference)


def api_reference(document: Object) -> str:
    """Return the reference of the REST API: routes by tag, error codes, objects."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            route = "\n".join(_route(method.upper(), path, operation))
            by_tag.setdefault(operation["tags"][0], []).append(route)
    parts = [
        f"### {tag.replace('_', ' ').capitalize()}\n\n" + "\n".join(by_tag[tag])
        for tag in sorted(by_tag)
    ]
    return "\n" + "\n".join([*parts, _error_codes(), _objects(document)])


def events_reference(document: Object) -> str:
    """Return the reference of the sockets: events of clients, events of the server, objects."""
    messages = document["components"]["messages"]
    received, sent = [], []
    for name, operation in document["operations"].items():
        if operation["action"] == "receive":
            payload, reply = (
                _name_of(messages[each]["payload"]) for each in (name, f"{name}.reply")
            )
            received.append(f"| `{name}` | {operation['summary']} | {payload} | {reply} |")
    for name, message in messages.items():
        if name in ("status", "live_price", "live_prices"):
            sent.append(f"| `{name}` | | {message['summary']} | {_name_of(message['payload'])} |")
        elif name.startswith("trade_update."):
            data = message["payload"]["properties"]["data"]
            event = name.partition(".")[2]
            sent.append(f"| `trade_update` | `{event}` | {message['summary']} | {_name_of(data)} |")
    return "\n".join(
        [
            "\n### Events of clients\n",
            "A request that fails is acknowledged with a [Refusal](#refusal).\n",
            "| event | what it does | payload | acknowledgement |",
            *("|---|---|---|---|", *received),
            "\n### Events of the server\n",
            "The payload of `trade_update` is `{event, data, seq}`.\n",
            "| event | `event` | when | payload, or `data` |",
            *("|---|---|---|---|", *sent),
            "",
            _objects(document),
        ]
    )


def _route(method: str, path: str, operation: Object) -> Iterator[str]:
    schemes = operation.get("security", [])
    scopes = [scope for scheme in schemes for scope in scheme.get("api_key", [])]
    lock = f" 🔒{''.join(f' ({scope})' for scope in scopes)}" if schemes else ""
    yield f"#### `{method} {path}`{lock}\n"
    yield f"{operation['summary']}\n"
    for parameter in operation.get("parameters", []):
        example = parameter.get("example", *parameter["schema"].get("examples", [])[:1])
        text = example if isinstance(example, str) else json.dumps(example)
        name = f"{parameter['in']} `{parameter['name']}`"
        yield f"- {name}: {parameter['description']} Example: `{text}`"
    if body := operation.get("requestBody"):
        yield f"- body: {_name_of(body['content'][JSON]['schema'])}"
    own = []
    for status, response in sorted(operation["responses"].items()):
        (media_type,) = response["content"]
        schema = response["content"][media_type]["schema"]
        if "properties" not in schema:
            kind = "" if media_type == JSON else f" (`{media_type}`)"
            yield f"- {status}: {_name_of(schema)}{kind}"
        codes = schema.get("properties", {}).get("code", {}).get("enum", [])
        if codes := [code for code in codes if code not in COMMON]:
            own.append(f"{status} {', '.join(f'`{code}`' for code in codes)}")
    if own:
        yield f"- errors: {'; '.join(own)}"
    yield ""


def _error_codes() -> str:
    rows = [
        f"| `{code}` | {', '.join(map(str, statuses)) or 'sockets'} | {meaning} |"
        for code, (statuses, meaning) in ERROR_CODES.items()
    ]
    return "\n".join(
        [
            "### Error codes\n",
            "Every error has the body [ErrorBody](#errorbody). The routes above list their own "
            "codes; these also belong to any route that they can apply to: "
            f"{', '.join(f'`{code}`' for code in ERROR_CODES if code in COMMON)}.\n",
            "| code | status | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _objects(document: Object) -> str:
    schemas = document["components"]["schemas"]
    parts = ["### Objects\n"]
    for name, schema in sorted(schemas.items()):
        parts.append(f"#### {name}\n")
        if text := schema.get("description"):
            parts.append(" ".join(text.split()) + "\n")
        if choices := schema.get("enum"):
            parts.append(f"One of {', '.join(f'`{each}`' for each in choices)}.\n")
        if fields := schema.get("properties"):
            required = schema.get("required", [])
            rows = (_field(field, each, field in required) for field, each in fields.items())
            parts += ["| field | type | meaning | example |", "|---|---|---|---|", *rows, ""]
    return "\n".join(parts)


def _field(name: str, schema: Object, required: bool) -> str:
    mark = "" if required else "?"
    examples = _examples(schema)
    example = f"`{json.dumps(examples[0], ensure_ascii=False)}`" if examples else ""
    return f"| `{name}`{mark} | {_type(schema)} | {schema['description']} | {example} |"


def _examples(schema: Object) -> list[Any]:
    nested = (each for each in schema.get("anyOf", []) if "examples" in each)
    return next((each["examples"] for each in (schema, *nested) if "examples" in each), [])


def _type(schema: Object) -> str:
    if "$ref" in schema:
        return _name_of(schema)
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("format") or schema.get("type", "any"))


def _name_of(schema: Object) -> str:
    if schema.get("type") == "array":
        return f"list of {_name_of(schema['items'])}"
    name = schema["$ref"].rpartition("/")[2]
    return f"[{name}](#{name.lower()})"


if __name__ == "__main__":
    main()
