"""Since when a key-encryption key has been the newest of its class: what its calendar goes by."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0024"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE keys.newest (
          kek_id text NOT NULL,
          since timestamptz NOT NULL,
          rewrapped_at timestamptz,
          CONSTRAINT pk_newest PRIMARY KEY (kek_id)
        )
        """
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
