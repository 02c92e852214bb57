"""Privacy: what relying parties ask consent for, answered by citizens in their app."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0015"
down_revision = "0014"

# The table of privacy/lifecycle.py as it was when this was written; a test compares the two.
REQUEST_EDGES = (
    ("", "OPEN"),
    ("", "RECEIVED"),
    ("OPEN", "RECEIVED"),
    ("OPEN", "LAPSED"),
    ("RECEIVED", "GIVEN"),
    ("RECEIVED", "REFUSED"),
    ("RECEIVED", "LAPSED"),
)

TABLES = (
    # Of nobody until a citizen has scanned its code. One that is `silent` is shown to nobody: it answers a party that
    # asks on after a refusal, or for somebody whom it has no business to ask, as any other does.
    """
    CREATE TABLE privacy.consent_request (
      request_id uuid NOT NULL,
      recipient text NOT NULL,
      purpose text NOT NULL,
      scope text[] NOT NULL,
      days integer NOT NULL CHECK (days > 0),
      uses integer,
      times integer,
      per text,
      keep_days integer NOT NULL,
      code_digest bytea CHECK (length(code_digest) = 32),
      citizen_id uuid,
      silent boolean NOT NULL,
      state text NOT NULL,
      consent_id uuid,
      made_at timestamptz NOT NULL,
      until timestamptz NOT NULL,
      CONSTRAINT pk_consent_request PRIMARY KEY (request_id),
      CONSTRAINT uq_consent_request_code_digest UNIQUE (code_digest),
      CONSTRAINT ck_consent_request_scope CHECK (cardinality(scope) > 0),
      CONSTRAINT ck_consent_request_received CHECK (state IN ('OPEN', 'LAPSED') OR citizen_id IS NOT NULL OR silent),
      CONSTRAINT ck_consent_request_given CHECK ((state = 'GIVEN') = (consent_id IS NOT NULL))
    )
    """,
    "CREATE INDEX ix_consent_request_citizen_id ON privacy.consent_request (citizen_id) WHERE state = 'RECEIVED'",
    "CREATE INDEX ix_consent_request_until ON privacy.consent_request (until) WHERE state IN ('OPEN', 'RECEIVED')",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    pairs = ", ".join(f"'{before}>{after}'" for before, after in REQUEST_EDGES)
    op.execute(
        "CREATE TRIGGER consent_request_keeps_to_its_life_cycle "
        "BEFORE INSERT OR UPDATE OF state ON privacy.consent_request "
        f"FOR EACH ROW EXECUTE FUNCTION privacy.require_transition({pairs})"
    )
    name = role("privacy")
    op.execute(f"GRANT SELECT, INSERT, DELETE ON privacy.consent_request TO {name}")
    op.execute(f"GRANT UPDATE (citizen_id, state, consent_id, code_digest) ON privacy.consent_request TO {name}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
