"""Copies of collections in another database of the same server, with the same indexes."""

from __future__ import annotations

from typing import Any

from pymongo.collection import Collection

from app.database.indexes import FIXED_OPTIONS

Documents = Collection[dict[str, Any]]


def copy_indexes(source: Documents, copy: Documents) -> None:
    """Give a collection the indexes of another, with their options."""
    for name, index in source.index_information().items():
        if name != "_id_":
            options = {each: index[each] for each in FIXED_OPTIONS if each in index}
            copy.create_index(index["key"], name=name, **options)


def copy_all(source: Documents, copy: Documents) -> None:
    """Copy the indexes and the documents of a collection."""
    copy_indexes(source, copy)
    if documents := list(source.find()):
        copy.insert_many(documents)
