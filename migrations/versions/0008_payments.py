"""Payments: bills, payments, refunds, idempotency keys, the channel's notifications, and a ledger that sums to zero."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0008"
down_revision = "0007"

# (state before, state after); the empty state is that of a row not yet there. The tables of lifecycle.py as they were
# when this was written: a change there needs a migration, and a test compares the two.
BILL_EDGES = (
    ("", "issued"),
    ("issued", "paid"),
    ("paid", "refunding"),
    ("refunding", "paid"),
    ("refunding", "refunded"),
    ("paid", "refunded"),
    ("issued", "cancelled"),
)
PAYMENT_EDGES = (
    ("", "created"),
    ("created", "awaiting"),
    *((before, after) for before in ("created", "awaiting") for after in ("closed", "succeeded", "surplus")),
    ("closed", "succeeded"),
    ("closed", "surplus"),
)
REFUND_EDGES = (
    ("", "requested"),
    ("requested", "rejected"),
    ("requested", "approved"),
    ("approved", "submitted"),
    ("submitted", "succeeded"),
    ("submitted", "failed"),
    ("approved", "failed"),
    ("failed", "succeeded"),
)

TABLES = (
    """
    CREATE TABLE payments.bill (
      citizen_id uuid NOT NULL,
      bill_id uuid NOT NULL,
      application_id uuid NOT NULL,
      titles jsonb NOT NULL,
      amount_fen integer NOT NULL CHECK (amount_fen > 0),
      state text NOT NULL,
      issued_at timestamptz NOT NULL,
      due_at timestamptz NOT NULL,
      settled_at timestamptz,
      receipt_number text,
      CONSTRAINT pk_bill PRIMARY KEY (citizen_id, bill_id),
      CONSTRAINT ck_bill_titles CHECK (
        length(titles ->> 'zh-CN') BETWEEN 1 AND 200 AND length(titles ->> 'en') BETWEEN 1 AND 200
        AND titles ->> 'zh-CN' IS NOT NULL AND titles ->> 'en' IS NOT NULL),
      CONSTRAINT ck_bill_state CHECK (state IN ('issued', 'paid', 'refunding', 'refunded', 'cancelled')),
      CONSTRAINT ck_bill_settled CHECK (
        (state IN ('issued', 'cancelled')) = (settled_at IS NULL) AND (settled_at IS NULL) = (receipt_number IS NULL))
    )
    """,
    "CREATE INDEX ix_bill_bill_id ON payments.bill (bill_id)",
    """
    CREATE TABLE payments.payment (
      citizen_id uuid NOT NULL,
      payment_id uuid NOT NULL,
      bill_id uuid NOT NULL,
      channel text NOT NULL,
      amount_fen integer NOT NULL CHECK (amount_fen > 0),
      state text NOT NULL,
      code_url text,
      begun_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      next_ask_at timestamptz NOT NULL,
      asks integer NOT NULL DEFAULT 0,
      channel_transaction text,
      payer_account bytea,
      settled_at timestamptz,
      paid_fen integer CHECK (paid_fen > 0),
      CONSTRAINT pk_payment PRIMARY KEY (citizen_id, payment_id),
      CONSTRAINT fk_payment_citizen_id_bill_id FOREIGN KEY (citizen_id, bill_id)
        REFERENCES payments.bill (citizen_id, bill_id),
      CONSTRAINT uq_payment_citizen_id_payment_id_paid_fen UNIQUE (citizen_id, payment_id, paid_fen),
      CONSTRAINT ck_payment_state CHECK (state IN ('created', 'awaiting', 'closed', 'succeeded', 'surplus')),
      CONSTRAINT ck_payment_awaiting CHECK (state <> 'awaiting' OR code_url IS NOT NULL),
      CONSTRAINT ck_payment_settled CHECK (
        (state IN ('succeeded', 'surplus')) = (settled_at IS NOT NULL)
        AND (settled_at IS NULL) = (channel_transaction IS NULL) AND (settled_at IS NULL) = (paid_fen IS NULL)),
      CONSTRAINT ck_payment_amount CHECK (state <> 'succeeded' OR paid_fen = amount_fen)
    )
    """,
    "CREATE INDEX ix_payment_payment_id ON payments.payment (payment_id)",
    # One way to pay a bill at a time, and one payment that settles it.
    "CREATE UNIQUE INDEX uq_payment_open ON payments.payment (citizen_id, bill_id) "
    "WHERE state IN ('created', 'awaiting')",
    "CREATE UNIQUE INDEX uq_payment_settling ON payments.payment (citizen_id, bill_id) WHERE state = 'succeeded'",
    "CREATE INDEX ix_payment_due ON payments.payment (next_ask_at) WHERE state IN ('created', 'awaiting')",
    """
    CREATE TABLE payments.refund (
      citizen_id uuid NOT NULL,
      refund_id uuid NOT NULL,
      bill_id uuid NOT NULL,
      payment_id uuid NOT NULL,
      amount_fen integer NOT NULL,
      state text NOT NULL,
      requested_by uuid NOT NULL,
      requested_at timestamptz NOT NULL,
      decided_by uuid,
      decided_at timestamptz,
      next_ask_at timestamptz NOT NULL,
      asks integer NOT NULL DEFAULT 0,
      channel_refund text,
      completed_at timestamptz,
      CONSTRAINT pk_refund PRIMARY KEY (citizen_id, refund_id),
      CONSTRAINT fk_refund_citizen_id_bill_id FOREIGN KEY (citizen_id, bill_id)
        REFERENCES payments.bill (citizen_id, bill_id),
      CONSTRAINT fk_refund_citizen_id_payment_id_amount_fen FOREIGN KEY (citizen_id, payment_id, amount_fen)
        REFERENCES payments.payment (citizen_id, payment_id, paid_fen),
      CONSTRAINT ck_refund_state CHECK (
        state IN ('requested', 'rejected', 'approved', 'submitted', 'succeeded', 'failed')),
      CONSTRAINT ck_refund_two_officers CHECK (decided_by <> requested_by),
      CONSTRAINT ck_refund_decided CHECK (
        (state = 'requested') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)),
      CONSTRAINT ck_refund_completed CHECK ((state IN ('succeeded', 'failed')) = (completed_at IS NOT NULL))
    )
    """,
    "CREATE INDEX ix_refund_refund_id ON payments.refund (refund_id)",
    # What was paid goes back once, and whole: the foreign key on the amount above leaves no other.
    "CREATE UNIQUE INDEX uq_refund_live ON payments.refund (citizen_id, payment_id) "
    "WHERE state NOT IN ('rejected', 'failed')",
    "CREATE INDEX ix_refund_due ON payments.refund (next_ask_at) WHERE state IN ('approved', 'submitted')",
    """
    CREATE TABLE payments.idempotency (
      citizen_id uuid NOT NULL,
      key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
      body_hash bytea NOT NULL CHECK (length(body_hash) = 32),
      payment_id uuid NOT NULL,
      made_at timestamptz NOT NULL,
      CONSTRAINT pk_idempotency PRIMARY KEY (citizen_id, key),
      CONSTRAINT fk_idempotency_citizen_id_payment_id FOREIGN KEY (citizen_id, payment_id)
        REFERENCES payments.payment (citizen_id, payment_id)
    )
    """,
    """
    CREATE TABLE payments.notification (
      channel text NOT NULL,
      notification_id text NOT NULL CHECK (length(notification_id) BETWEEN 1 AND 64),
      received_at timestamptz NOT NULL,
      CONSTRAINT pk_notification PRIMARY KEY (channel, notification_id)
    )
    """,
    # Money that settled no bill, so that officers can find whose it is.
    """
    CREATE TABLE payments.unmatched_receipt (
      citizen_id uuid NOT NULL,
      receipt_id uuid NOT NULL,
      bill_id uuid NOT NULL,
      payment_id uuid NOT NULL,
      channel_transaction text NOT NULL,
      amount bigint NOT NULL,
      currency text NOT NULL,
      reason text NOT NULL,
      received_at timestamptz NOT NULL,
      CONSTRAINT pk_unmatched_receipt PRIMARY KEY (citizen_id, receipt_id),
      CONSTRAINT fk_unmatched_receipt_citizen_id_bill_id FOREIGN KEY (citizen_id, bill_id)
        REFERENCES payments.bill (citizen_id, bill_id),
      CONSTRAINT fk_unmatched_receipt_citizen_id_payment_id FOREIGN KEY (citizen_id, payment_id)
        REFERENCES payments.payment (citizen_id, payment_id),
      CONSTRAINT uq_unmatched_receipt_citizen_id_payment_id_channel_transaction
        UNIQUE (citizen_id, payment_id, channel_transaction),
      CONSTRAINT ck_unmatched_receipt_reason CHECK (
        reason IN ('surplus', 'other-amount', 'other-currency', 'other-transaction'))
    )
    """,
    "CREATE INDEX ix_unmatched_receipt_receipt_id ON payments.unmatched_receipt (receipt_id)",
    """
    CREATE TABLE payments.ledger_transaction (
      citizen_id uuid NOT NULL,
      transaction_id uuid NOT NULL,
      bill_id uuid NOT NULL,
      kind text NOT NULL,
      cause_id uuid NOT NULL,
      posted_at timestamptz NOT NULL,
      CONSTRAINT pk_ledger_transaction PRIMARY KEY (citizen_id, transaction_id),
      CONSTRAINT fk_ledger_transaction_citizen_id_bill_id FOREIGN KEY (citizen_id, bill_id)
        REFERENCES payments.bill (citizen_id, bill_id),
      CONSTRAINT uq_ledger_transaction_citizen_id_kind_cause_id UNIQUE (citizen_id, kind, cause_id),
      CONSTRAINT ck_ledger_transaction_kind CHECK (kind IN (
        'bill-issued', 'bill-cancelled', 'payment-settled', 'payment-surplus', 'refund-approved', 'refund-paid',
        'refund-failed', 'refund-paid-late', 'surplus-approved', 'surplus-failed', 'surplus-paid-late'))
    )
    """,
    """
    CREATE TABLE payments.ledger_entry (
      citizen_id uuid NOT NULL,
      transaction_id uuid NOT NULL,
      line smallint NOT NULL CHECK (line > 0),
      account text NOT NULL,
      amount_fen bigint NOT NULL CHECK (amount_fen <> 0),
      CONSTRAINT pk_ledger_entry PRIMARY KEY (citizen_id, transaction_id, line),
      CONSTRAINT fk_ledger_entry_citizen_id_transaction_id FOREIGN KEY (citizen_id, transaction_id)
        REFERENCES payments.ledger_transaction (citizen_id, transaction_id),
      CONSTRAINT ck_ledger_entry_account CHECK (
        account IN ('receivable', 'revenue', 'channel', 'refunds-payable', 'surplus'))
    )
    """,
)

FUNCTIONS = (
    """
    CREATE FUNCTION payments.require_transition() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      before text := CASE WHEN TG_OP = 'INSERT' THEN '' ELSE OLD.state END;
    BEGIN
      IF TG_OP = 'UPDATE' AND NEW.state = before THEN
        RETURN NEW;
      END IF;
      IF before || '>' || NEW.state = ANY (TG_ARGV) THEN
        RETURN NEW;
      END IF;
      RAISE EXCEPTION '%.% does not go from "%" to "%"', TG_TABLE_SCHEMA, TG_TABLE_NAME, before, NEW.state
        USING ERRCODE = 'check_violation';
    END $$
    """,
    # Every transaction sums to zero, has two lines at least, and takes no line once it is committed.
    """
    CREATE FUNCTION payments.require_balance() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      lines bigint;
      total numeric;
      strangers bigint;
    BEGIN
      SELECT count(*), coalesce(sum(entry.amount_fen), 0), count(*) FILTER (WHERE entry.xmin <> header.xmin)
        INTO lines, total, strangers
        FROM payments.ledger_transaction AS header
        JOIN payments.ledger_entry AS entry
          ON entry.citizen_id = header.citizen_id AND entry.transaction_id = header.transaction_id
       WHERE header.citizen_id = NEW.citizen_id AND header.transaction_id = NEW.transaction_id;
      IF lines < 2 OR total <> 0 OR strangers > 0 THEN
        RAISE EXCEPTION 'ledger transaction % does not balance: % lines, % fen, % added later',
          NEW.transaction_id, lines, total, strangers USING ERRCODE = 'check_violation';
      END IF;
      RETURN NULL;
    END $$
    """,
)

ROLE = "payments"
UPDATABLE = {
    "bill": "state, settled_at, receipt_number",
    "payment": "state, code_url, next_ask_at, asks, channel_transaction, payer_account, settled_at, paid_fen",
    "refund": "state, decided_by, decided_at, next_ask_at, asks, channel_refund, completed_at",
    "unmatched_receipt": "amount, currency, reason, received_at",
}


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS):
        op.execute(statement)
    for table, edges in (("bill", BILL_EDGES), ("payment", PAYMENT_EDGES), ("refund", REFUND_EDGES)):
        pairs = ", ".join(f"'{before}>{after}'" for before, after in edges)
        op.execute(
            f"CREATE TRIGGER {table}_keeps_to_its_life_cycle BEFORE INSERT OR UPDATE ON payments.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION payments.require_transition({pairs})"
        )
    for table in ("ledger_transaction", "ledger_entry"):
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {table}_balances AFTER INSERT ON payments.{table} "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments.require_balance()"
        )
    for table in ("idempotency", "notification", "ledger_transaction", "ledger_entry"):
        append_only(f"payments.{table}")
        op.execute(f"GRANT SELECT, INSERT ON payments.{table} TO {role(ROLE)}")
    for table, columns in UPDATABLE.items():
        op.execute(
            f"CREATE TRIGGER {table}_is_never_removed BEFORE DELETE OR TRUNCATE ON payments.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ({columns}) ON payments.{table} TO {role(ROLE)}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
