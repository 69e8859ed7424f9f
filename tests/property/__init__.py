"""Properties: rules that hold for whatever hypothesis thinks of."""

import pytest

# Modules of checks, whose failures are to show both sides as those of tests do.
pytest.register_assert_rewrite(
    "tests.property.portfolio_database", "tests.property.portfolio_driver"
)
