"""What the tests of permits share: an office with an applicant and two officers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from permit_office import Office
from town import Town


@pytest.fixture
async def office(town: Town) -> AsyncIterator[Office]:
    """An office in a town of its own."""
    opened = await Office.open(town)
    yield opened
    await opened.close()
