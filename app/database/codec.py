"""Money in MongoDB: Decimal in Python, Decimal128 in the database."""

from __future__ import annotations

from decimal import Context, Decimal

from bson.codec_options import TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128

# The binary form of Decimal128, IEEE 754-2019, 3.5.2: a sign, 14 bits of a biased exponent, and 113
# of an integer of 34 digits at most.
_COEFFICIENT = (1 << 113) - 1
_MAX_COEFFICIENT = 10**34 - 1
_BIAS = 6176
_EXACT = Context(prec=34)


class DecimalCodec(TypeCodec):
    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        # Equal to `value.to_decimal()`, which handles single bytes and digits, and takes four times
        # as long: half of the cost of decoding a document.
        bits = int.from_bytes(value.bid, "little")
        coefficient = bits & _COEFFICIENT
        if bits >> 125 & 0b11 == 0b11 or coefficient > _MAX_COEFFICIENT:
            # Infinite, NaN, or not in the short form.
            return value.to_decimal()
        amount = Decimal(coefficient).scaleb((bits >> 113 & 0x3FFF) - _BIAS, _EXACT)
        return amount.copy_negate() if bits >> 127 else amount


TYPE_REGISTRY = TypeRegistry([DecimalCodec()])
