"""Identity: digests of blind indexes have layers, one a root, so that a root is added while all serves."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0026"
down_revision = "0025"

STATEMENTS = (
    """
    CREATE TABLE identity.blind_index (
      singleton smallint NOT NULL CHECK (singleton = 1),
      layers smallint NOT NULL CHECK (layers >= 1),
      CONSTRAINT pk_blind_index PRIMARY KEY (singleton)
    )
    """,
    "INSERT INTO identity.blind_index VALUES (1, 1)",
    "ALTER TABLE identity.directory ADD COLUMN layers smallint NOT NULL DEFAULT 1 CHECK (layers >= 1)",
    "ALTER TABLE identity.directory ALTER COLUMN layers DROP DEFAULT",
    "CREATE INDEX ix_directory_layers ON identity.directory (layers)",
    "ALTER TABLE identity.guardianship ADD COLUMN layers smallint NOT NULL DEFAULT 1 CHECK (layers >= 1)",
    "ALTER TABLE identity.guardianship ALTER COLUMN layers DROP DEFAULT",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    op.execute(f"GRANT SELECT ON identity.blind_index TO {role('identity')}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
