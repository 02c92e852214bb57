"""Privacy: grants as they are used day by day, steps of narrowing and the way back, findings that are looked into.

Breaking the glass is identity's: it finds people by their number, and states for how long somebody may read about one.
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0016"
down_revision = "0015"

TABLES = (
    # Made of the log and of nothing else: emptied together with its watermark, it is counted again.
    """
    CREATE TABLE privacy.field_use (
      purpose text NOT NULL,
      coordinate text NOT NULL,
      client text NOT NULL,
      document text NOT NULL,
      day date NOT NULL,
      declared bigint NOT NULL,
      masked bigint NOT NULL,
      opened bigint NOT NULL,
      used bigint NOT NULL,
      withheld bigint NOT NULL,
      last_at timestamptz NOT NULL,
      CONSTRAINT pk_field_use PRIMARY KEY (purpose, coordinate, client, document, day)
    )
    """,
    """
    CREATE TABLE privacy.finding_review (
      finding_id uuid NOT NULL,
      fault boolean NOT NULL,
      note text NOT NULL CHECK (note <> ''),
      reviewed_by uuid NOT NULL,
      reviewed_at timestamptz NOT NULL,
      CONSTRAINT pk_finding_review PRIMARY KEY (finding_id),
      CONSTRAINT fk_finding_review_finding FOREIGN KEY (finding_id) REFERENCES privacy.finding
    )
    """,
)

CHANGES = (
    """
    ALTER TABLE privacy.narrowing
      ADD COLUMN step text NOT NULL DEFAULT 'DENY' CHECK (step IN ('WARN', 'MASK', 'DENY', 'RESTORE')),
      ADD COLUMN form_before text,
      ADD COLUMN urgent boolean NOT NULL DEFAULT false,
      ADD COLUMN refuses bigint NOT NULL DEFAULT 0,
      DROP CONSTRAINT narrowing_form_check,
      ADD CONSTRAINT ck_narrowing_form CHECK (form IN ('PLAIN', 'MASKED', 'DERIVED'))
    """,
    "UPDATE privacy.narrowing SET step = 'MASK' WHERE form = 'MASKED'",
    "ALTER TABLE privacy.narrowing ALTER COLUMN step DROP DEFAULT, ALTER COLUMN urgent DROP DEFAULT, "
    "ALTER COLUMN refuses DROP DEFAULT",
    # What is found in no one entry (a document that over-asks) is named by `about`.
    """
    ALTER TABLE privacy.finding
      ALTER COLUMN entry_id DROP NOT NULL,
      ADD COLUMN about text NOT NULL DEFAULT '',
      ADD COLUMN office text,
      ADD COLUMN due_at timestamptz,
      DROP CONSTRAINT uq_finding_entry_id_kind,
      ADD CONSTRAINT ck_finding_about CHECK ((entry_id IS NULL) = (about <> ''))
    """,
    "CREATE UNIQUE INDEX uq_finding_entry_id_kind ON privacy.finding (entry_id, kind) WHERE entry_id IS NOT NULL",
    "CREATE UNIQUE INDEX uq_finding_about_kind ON privacy.finding (about, kind) WHERE entry_id IS NULL",
    "CREATE INDEX ix_revision_revision_id ON consent.revision (revision_id)",
    "ALTER TABLE consent.relation ADD CONSTRAINT ck_relation_glass_mends CHECK "
    "(relation <> 'break-glass' OR (until IS NOT NULL AND until <= since + interval '2 hours'))",
)


def upgrade() -> None:
    for statement in (*TABLES, *CHANGES):
        op.execute(statement)
    append_only("privacy.finding_review")
    name = role("privacy")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON privacy.field_use TO {name}")
    op.execute(f"GRANT SELECT, INSERT ON privacy.finding_review TO {name}")
    identity = role("identity")
    op.execute(
        f"CREATE POLICY glass_broken_by_identity ON consent.relation FOR INSERT TO {identity} "
        "WITH CHECK (relation = 'break-glass')"
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
