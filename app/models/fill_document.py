"""The fill profile of a trade and the slippage of its fills, as documents.

A trade of the plain profile has neither.
"""

from __future__ import annotations

from dataclasses import asdict

from app.database import Document
from app.domain.fill_profile import FillModel, FillProfile, Slippage


def model_fields(model: FillModel | None) -> Document:
    """Return the field of a new trade that holds its fill model."""
    if model is None:
        return {}
    return {
        "fill_model": {
            "profile": model.profile.value,
            "seed": model.seed,
            "tick_size": model.tick_size,
            "lot_size": model.lot_size,
            "slippage_bps": model.slippage_bps,
        }
    }


def read_model(document: Document) -> FillModel | None:
    """Return the fill model of a trade, None for the plain profile."""
    if (fields := document.get("fill_model")) is None:
        return None
    return FillModel(**(fields | {"profile": FillProfile(fields["profile"])}))


def slippage_fields(name: str, slippage: Slippage | None) -> Document:
    """Return the field that holds the slippage of a fill, if it has some."""
    if slippage is None:
        return {}
    return {name: asdict(slippage)}


def read_slippage(fields: Document | None) -> Slippage | None:
    """Return the slippage of a fill, None if it has none."""
    return Slippage(**fields) if fields else None
