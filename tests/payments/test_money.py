"""Money is a whole number of fen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.payments.ledger import PostingKind, lines
from gov_services.payments.money import MOST_FEN, NotAnAmount, require_amount

pytestmark = pytest.mark.untraced


@given(st.integers(1, MOST_FEN))
def test_every_positive_amount_that_fits_is_taken_as_it_is(fen: int) -> None:
    assert require_amount(fen) == fen


@given(
    st.one_of(
        st.integers(max_value=0), st.integers(min_value=MOST_FEN + 1), st.floats(), st.text(), st.booleans(), st.none()
    )
)
def test_nothing_else_is_an_amount(value: object) -> None:
    with pytest.raises(NotAnAmount):
        require_amount(value)


@given(st.sampled_from(PostingKind), st.integers(1, MOST_FEN))
def test_every_posting_sums_to_zero_over_two_different_accounts(kind: PostingKind, fen: int) -> None:
    debit, credit = lines(kind, fen)
    assert (debit.amount_fen, credit.amount_fen) == (fen, -fen)
    assert debit.account is not credit.account
