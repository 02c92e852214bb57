"""What the consent API keeps of its own: processing policies, which agreement goes by which, parties' webhooks."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0021"
down_revision = "0020"

TABLES = (
    """
    CREATE TABLE privacy.processing_policy (
      number integer NOT NULL CHECK (number > 0),
      revision integer NOT NULL CHECK (revision > 0),
      name text NOT NULL CHECK (name <> ''),
      version text NOT NULL CHECK (version <> ''),
      url text NOT NULL CHECK (url <> ''),
      jurisdiction text NOT NULL,
      sector text NOT NULL,
      retention_days integer CHECK (retention_days > 0),
      restriction text NOT NULL,
      storage text NOT NULL,
      ended boolean NOT NULL,
      made_by text NOT NULL,
      made_at timestamptz NOT NULL,
      previous bytea NOT NULL CHECK (length(previous) = 32),
      hash bytea NOT NULL CHECK (length(hash) = 32),
      CONSTRAINT pk_processing_policy PRIMARY KEY (number, revision)
    )
    """,
    """
    CREATE TABLE privacy.agreement_policy (
      purpose text NOT NULL,
      made_at timestamptz NOT NULL,
      policy integer NOT NULL,
      made_by text NOT NULL,
      CONSTRAINT pk_agreement_policy PRIMARY KEY (purpose, made_at)
    )
    """,
    """
    CREATE TABLE privacy.webhook (
      webhook_id uuid NOT NULL,
      client text NOT NULL,
      url text NOT NULL CHECK (url LIKE 'https://%'),
      disabled boolean NOT NULL,
      made_at timestamptz NOT NULL,
      removed_at timestamptz,
      CONSTRAINT pk_webhook PRIMARY KEY (webhook_id)
    )
    """,
    """
    CREATE TABLE privacy.webhook_message (
      number bigint GENERATED ALWAYS AS IDENTITY,
      message_id uuid NOT NULL,
      webhook_id uuid NOT NULL,
      body bytea NOT NULL,
      made_at timestamptz NOT NULL,
      due_at timestamptz NOT NULL,
      attempts integer NOT NULL,
      CONSTRAINT pk_webhook_message PRIMARY KEY (number),
      CONSTRAINT fk_webhook_message_webhook_id_webhook FOREIGN KEY (webhook_id) REFERENCES privacy.webhook (webhook_id)
    )
    """,
    "CREATE INDEX ix_webhook_message_due_at ON privacy.webhook_message (due_at)",
    "CREATE INDEX ix_webhook_message_webhook_id ON privacy.webhook_message (webhook_id, number)",
    "CREATE INDEX ix_webhook_client ON privacy.webhook (client) WHERE removed_at IS NULL",
    "CREATE INDEX ix_standing_recipient ON consent.standing (recipient, consent_id)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    append_only("privacy.processing_policy")
    append_only("privacy.agreement_policy")
    privacy = role("privacy")
    op.execute(f"GRANT SELECT, INSERT ON privacy.processing_policy, privacy.agreement_policy TO {privacy}")
    op.execute(f"GRANT SELECT, INSERT, DELETE, UPDATE (due_at, attempts) ON privacy.webhook_message TO {privacy}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (url, disabled, removed_at) ON privacy.webhook TO {privacy}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
