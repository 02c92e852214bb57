"""Bills, payments, refunds and their books: what a citizen owes and that it was paid. It decides no fee."""
