"""Properties: rules that hold for every input that hypothesis generates."""

import pytest

# Failed assertions of these modules show both sides, as those of tests do.
pytest.register_assert_rewrite(
    "tests.property.portfolio_database", "tests.property.portfolio_driver"
)
