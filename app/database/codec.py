"""Money in MongoDB: Decimal in Python, Decimal128 in the database, on every path between."""

from __future__ import annotations

from decimal import Decimal

from bson.codec_options import TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128


class DecimalCodec(TypeCodec):
    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


TYPE_REGISTRY = TypeRegistry([DecimalCodec()])
