"""What a password costs to guess: the tests hash cheaply, the product must not."""

from __future__ import annotations

import importlib.util

from gov_services.identity import passwords


def test_a_password_is_hashed_at_the_cost_that_rfc_9106_recommends() -> None:
    spec = importlib.util.find_spec(passwords.__name__)
    assert spec is not None
    assert spec.loader is not None
    as_shipped = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(as_shipped)

    # The second recommended option (RFC 9106 §4): 64 MiB, three passes, four lanes.
    assert as_shipped._hasher.hash("a password").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
