"""Amounts read from the database: each equals what PyMongo itself reads."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from app.database.codec import DecimalCodec

NOTABLE = ["0", "-0", "0.00", "-0.05", "0.10", "99999.95", "1E+3", "-1E-6176", "9" * 34, "1E+6144"]


@pytest.mark.parametrize("written", [*NOTABLE, "Infinity", "-Infinity", "NaN", "sNaN"])
def test_a_special_amount_is_read_as_written(written: str) -> None:
    stored = Decimal128(written)

    assert repr(DecimalCodec().transform_bson(stored)) == repr(stored.to_decimal())


@given(st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False))
def test_every_amount_of_rupees_is_read_as_written(amount: Decimal) -> None:
    codec = DecimalCodec()

    assert repr(codec.transform_bson(codec.transform_python(amount))) == repr(amount)


@given(st.binary(min_size=16, max_size=16))
def test_every_stored_value_is_read_as_pymongo_reads_it(bits: bytes) -> None:
    stored = Decimal128.from_bid(bits)

    assert repr(DecimalCodec().transform_bson(stored)) == repr(stored.to_decimal())
