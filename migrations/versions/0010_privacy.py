"""Privacy: who a subject tag stands for, proposals to narrow, findings, erasures, and how far its jobs have read."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0010"
down_revision = "0009"

TABLES = (
    """
    CREATE TABLE privacy.subject (
      citizen_id uuid NOT NULL,
      tag bytea NOT NULL CHECK (length(tag) = 16),
      since timestamptz NOT NULL,
      CONSTRAINT pk_subject PRIMARY KEY (citizen_id)
    )
    """,
    "CREATE INDEX ix_subject_tag ON privacy.subject (tag)",
    """
    CREATE TABLE privacy.narrowing (
      narrowing_id uuid NOT NULL,
      purpose text NOT NULL,
      coordinate text NOT NULL,
      form text CHECK (form IN ('MASKED', 'DERIVED')),
      note text NOT NULL,
      declared integer NOT NULL,
      opened integer NOT NULL,
      since timestamptz NOT NULL,
      state text NOT NULL,
      proposed_by uuid NOT NULL,
      proposed_at timestamptz NOT NULL,
      decided_by uuid,
      decided_at timestamptz,
      bundle_version integer,
      CONSTRAINT pk_narrowing PRIMARY KEY (narrowing_id),
      CONSTRAINT ck_narrowing_state CHECK (state IN ('PROPOSED', 'APPROVED', 'REFUSED')),
      CONSTRAINT ck_narrowing_two_officers CHECK (decided_by IS NULL OR decided_by <> proposed_by),
      CONSTRAINT ck_narrowing_decided CHECK ((state = 'PROPOSED') = (decided_by IS NULL)),
      CONSTRAINT ck_narrowing_in_force CHECK ((state = 'APPROVED') = (bundle_version IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX uq_narrowing_open ON privacy.narrowing (purpose, coordinate) WHERE state = 'PROPOSED'",
    """
    CREATE TABLE privacy.finding (
      finding_id uuid NOT NULL,
      kind text NOT NULL,
      actor text NOT NULL,
      purpose text NOT NULL,
      entry_id uuid NOT NULL,
      found_at timestamptz NOT NULL,
      CONSTRAINT pk_finding PRIMARY KEY (finding_id),
      CONSTRAINT uq_finding_entry_id_kind UNIQUE (entry_id, kind)
    )
    """,
    """
    CREATE TABLE privacy.erasure (
      citizen_id uuid NOT NULL,
      erasure_id uuid NOT NULL,
      made_at timestamptz NOT NULL,
      destroyed text[] NOT NULL,
      kept text[] NOT NULL,
      CONSTRAINT pk_erasure PRIMARY KEY (citizen_id, erasure_id)
    )
    """,
    """
    CREATE TABLE privacy.watermark (
      job text NOT NULL,
      seq bigint NOT NULL,
      CONSTRAINT pk_watermark PRIMARY KEY (job)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    append_only("privacy.finding")
    append_only("privacy.erasure")
    name = role("privacy")
    op.execute(f"GRANT SELECT, INSERT ON privacy.subject, privacy.finding, privacy.erasure TO {name}")
    op.execute(f"GRANT SELECT, INSERT ON privacy.narrowing TO {name}")
    op.execute(f"GRANT UPDATE (state, decided_by, decided_at, bundle_version) ON privacy.narrowing TO {name}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON privacy.watermark TO {name}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
