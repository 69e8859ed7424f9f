"""One command of a client, with the parts that rules ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.mongodb.wire import Document

WRITES = frozenset({"insert", "update", "delete", "findAndModify", "bulkWrite"})
READS = frozenset({"find", "aggregate", "count", "distinct"})
ENDS_TRANSACTION = frozenset({"commitTransaction", "abortTransaction"})
SYSTEM_DATABASES = frozenset({"admin", "config", "local"})

Namespace = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """One read or change of a command: which documents, and what happens to them."""

    filter: Document
    is_upsert: bool = False
    hint: Any = None
    is_projected: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    body: Document
    # Bytes of the message that it came in.
    size: int = 0

    @property
    def name(self) -> str:
        return next(iter(self.body))

    @property
    def database(self) -> str:
        return str(self.body.get("$db", ""))

    @property
    def collection(self) -> str:
        """The collection, or nothing if the command concerns none."""
        value = self.body[self.name]
        return value if isinstance(value, str) else ""

    @property
    def namespace(self) -> Namespace:
        return (self.database, self.collection)

    @property
    def shape(self) -> str:
        """The command and its collection, as reports name them."""
        return f"{self.name} {self.collection}".strip()

    @property
    def session(self) -> bytes:
        return bytes(self.body["lsid"]["id"]) if "lsid" in self.body else b""

    @property
    def in_transaction(self) -> bool:
        return "autocommit" in self.body

    @property
    def starts_transaction(self) -> bool:
        return bool(self.body.get("startTransaction"))

    @property
    def is_write(self) -> bool:
        return self.name in WRITES

    @property
    def read_concern(self) -> str | None:
        level: str | None = (self.body.get("readConcern") or {}).get("level")
        return level

    @property
    def operations(self) -> list[Document]:
        """The documents, updates or deletes of a write."""
        for name in ("documents", "updates", "deletes", "ops"):
            if name in self.body:
                return list(self.body[name])
        return []

    def statements(self) -> Iterator[Statement]:
        """Yield each filter of the command."""
        match self.name:
            case "find":
                is_projected = bool(self.body.get("projection"))
                query, hint = self.body.get("filter", {}), self.body.get("hint")
                yield Statement(query, hint=hint, is_projected=is_projected)
            case "count" | "distinct":
                # Without a query, it reads the metadata of the collection.
                if self.body.get("query"):
                    yield Statement(self.body["query"], hint=self.body.get("hint"))
            case "findAndModify":
                query, hint = self.body.get("query", {}), self.body.get("hint")
                yield Statement(query, bool(self.body.get("upsert")), hint)
            case "update" | "delete":
                for each in self.operations:
                    yield Statement(each["q"], bool(each.get("upsert")), each.get("hint"))
            case "aggregate":
                first: Document = next(iter(self.body.get("pipeline", [])), {})
                yield Statement(first.get("$match", {}), hint=self.body.get("hint"))

    def hints(self) -> Iterator[Any]:
        """Yield each index that the command asks for."""
        return (each.hint for each in self.statements() if each.hint)

    def without_hints(self) -> Document:
        """Return the command without the indexes that it asks for."""
        body = {key: value for key, value in self.body.items() if key != "hint"}
        for name in {"updates", "deletes"} & body.keys():
            body[name] = [{key: each[key] for key in each if key != "hint"} for each in body[name]]
        return body

    def abort(self) -> Document:
        """Return the command that aborts the transaction of this one."""
        kept = {name: self.body[name] for name in ("lsid", "txnNumber")}
        return {"abortTransaction": 1, **kept, "autocommit": False, "$db": "admin"}
