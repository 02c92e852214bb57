"""Keys: whether any stands under a key-encryption key is told by an index, so that retiring one holds up nobody."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.execute("CREATE INDEX ix_data_key_kek_id ON keys.data_key (kek_id) WHERE destroyed_at IS NULL")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
