"""Audit: each process that writes signs what it appends, in a chain of its own.

What the database asks of an appended entry is who wrote it, and no more: see revision 0012. An entry has no column that
neither its commitment nor its writer signs for, so since when something waits to be signed is told of the log's end.
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0013"
down_revision = "0012"

WRITERS = ("identity", "permits", "payments", "healthcode", "privacy", "worker")

TABLES = (
    """
    CREATE TABLE audit.writer (
      id uuid NOT NULL,
      room text NOT NULL,
      key_id text NOT NULL,
      signature bytea NOT NULL CHECK (length(signature) = 64),
      CONSTRAINT pk_writer PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE audit.batch (
      writer uuid NOT NULL,
      number bigint NOT NULL CHECK (number >= 0),
      first bigint NOT NULL CHECK (first >= -1),
      items bytea NOT NULL CHECK (length(items) % 49 = 0),
      signature bytea NOT NULL CHECK (length(signature) = 64),
      CONSTRAINT pk_batch PRIMARY KEY (writer, number)
    )
    """,
    "CREATE INDEX ix_batch_first ON audit.batch (first) WHERE first >= 0",
    # What was numbered, or waited, before there were chains is in none.
    "ALTER TABLE audit.head ADD COLUMN chained_from bigint NOT NULL DEFAULT 0",
    "UPDATE audit.head SET chained_from = next + (SELECT count(*) FROM audit.pending)",
    "ALTER TABLE audit.head ALTER COLUMN chained_from DROP DEFAULT",
    # Since when something waits to be signed: of the log's end as a whole, so that no entry has a column that nobody
    # signed for.
    "ALTER TABLE audit.head ADD COLUMN unsigned_since timestamptz",
    "ALTER TABLE audit.checkpoint DROP COLUMN signed_at",
    "ALTER TABLE audit.pending ADD COLUMN writer uuid, ADD COLUMN voucher bytea",
)

FUNCTIONS = (
    # A process of `room` begins a chain. Nobody else appends to it.
    """
    CREATE FUNCTION audit.open_writer(id uuid, room text, key_id text, signature bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      PERFORM audit.require_room(room);
      INSERT INTO audit.writer VALUES (id, room, key_id, signature)
      ON CONFLICT ON CONSTRAINT pk_writer DO NOTHING;
    END $$
    """,
    # One call: the numbers, the batch of the writer's chain, the entries. It is refused, as a unique violation, where
    # an id has a number already or the batch has been written: `append_again` says then what became of them. Three
    # short statements under kept plans take less time than one of three parts, which is planned anew each time.
    """
    CREATE FUNCTION audit.append(by uuid, number bigint, ids uuid[], salts bytea[], bodies bytea[], items bytea,
                                 signature bytea, asks_lag boolean, OUT first bigint, OUT lag_s double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
    BEGIN
      IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
      END IF;
      UPDATE audit.head SET next = next + cardinality(ids),
                            unsigned_since = CASE WHEN cardinality(ids) > 0
                              THEN coalesce(unsigned_since, clock_timestamp()) ELSE unsigned_since END
       WHERE EXISTS (SELECT FROM audit.writer WHERE id = by
                        AND (session_user = current_user OR session_user::text LIKE '%\\_' || room))
      RETURNING next - cardinality(ids) INTO first;
      IF first IS NULL THEN
        RAISE EXCEPTION '% is no writer of %', by, session_user USING ERRCODE = 'insufficient_privilege';
      END IF;
      INSERT INTO audit.batch VALUES (by, append.number, CASE WHEN cardinality(ids) > 0 THEN first ELSE -1 END,
                                      append.items, append.signature);
      INSERT INTO audit.entry (seq, id, writer, salt, body, commitment)
      SELECT first + place - 1, id, by, salt, body, sha256('\\x01'::bytea || salt || body)
        FROM unnest(ids, salts, bodies) WITH ORDINALITY AS given(id, salt, body, place);
      IF asks_lag THEN
        lag_s := audit.lag_s();
      END IF;
    END $$
    """,
    # The same for a batch of which something is there already: what is new gets numbers, what is not keeps its own.
    """
    CREATE FUNCTION audit.append_again(by uuid, number bigint, ids uuid[], salts bytea[], bodies bytea[], items bytea,
                                       signature bytea)
    RETURNS TABLE (entry_id uuid, entry_seq bigint, same boolean, lag_s double precision)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      written bytea;
      new_ids uuid[];
      new_salts bytea[];
      new_bodies bytea[];
    BEGIN
      PERFORM FROM audit.head FOR UPDATE;
      SELECT batch.signature INTO written FROM audit.batch
       WHERE batch.writer = by AND batch.number = append_again.number;
      IF written IS DISTINCT FROM append_again.signature THEN
        IF written IS NOT NULL THEN
          RAISE EXCEPTION 'batch % of writer % is another one', number, by USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT coalesce(array_agg(id ORDER BY place), '{}'), coalesce(array_agg(salt ORDER BY place), '{}'),
               coalesce(array_agg(body ORDER BY place), '{}')
          INTO new_ids, new_salts, new_bodies
          FROM (SELECT DISTINCT ON (given.id) given.* FROM unnest(ids, salts, bodies) WITH ORDINALITY
                    AS given(id, salt, body, place)
                 WHERE NOT EXISTS (SELECT FROM audit.entry AS old WHERE old.id = given.id)
                 ORDER BY given.id, given.place) AS new;
        PERFORM audit.append(by, number, new_ids, new_salts, new_bodies, items, signature, false);
      END IF;
      RETURN QUERY
        SELECT stored.id, stored.seq, bool_and(stored.body = given.body), (SELECT audit.lag_s())
          FROM unnest(ids, bodies) AS given(id, body) JOIN audit.entry AS stored ON stored.id = given.id
         GROUP BY stored.id, stored.seq;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION audit.check_head() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      RAISE EXCEPTION 'numbers are never given back' USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    # Numbers what is new among `given`, in order; an entry whose id has a number keeps it.
    """
    CREATE FUNCTION audit.number(given audit.pending[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      first bigint;
      added bigint;
    BEGIN
      SELECT next INTO STRICT first FROM audit.head FOR UPDATE;
      INSERT INTO audit.entry (seq, id, writer, voucher, salt, body, commitment)
      SELECT first + row_number() OVER (ORDER BY new.ordinality) - 1, id, writer, voucher, salt, body,
             sha256('\\x01'::bytea || salt || body)
        FROM unnest(given) WITH ORDINALITY AS new
       WHERE NOT EXISTS (SELECT FROM audit.entry AS old WHERE old.id = new.id);
      GET DIAGNOSTICS added = ROW_COUNT;
      IF added > 0 THEN
        UPDATE audit.head SET next = first + added, unsigned_since = coalesce(unsigned_since, clock_timestamp());
      END IF;
    END $$
    """,
    # All numbers below `upto` are signed for. What came later came after `asked`, the moment at which it was asked.
    """
    CREATE FUNCTION audit.signed(upto bigint, asked timestamptz) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      UPDATE audit.head SET unsigned_since = CASE WHEN next > upto THEN greatest(unsigned_since, asked) END
    $$
    """,
    # Seconds that the oldest entry may have been waiting to be under a signed checkpoint; null when none waits.
    """
    CREATE OR REPLACE FUNCTION audit.lag_s() RETURNS double precision
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      SELECT extract(epoch FROM clock_timestamp() - least(
        (SELECT unsigned_since FROM audit.head), (SELECT min(placed_at) FROM audit.pending)))::double precision
    $$
    """,
    # Gives numbers to the oldest `batch` entries that wait for one; how many were taken, and how many of these were set
    # aside: one whose id belongs to another entry, or that no table takes, holds nobody up and is kept, for `audit
    # verify` to name. One statement for all, and one for each only where that is refused for what an entry says.
    """
    CREATE FUNCTION audit.move_pending(batch integer, OUT taken bigint, OUT set_aside bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      moved audit.pending[];
      one audit.pending;
      others audit.pending[] := '{}';
    BEGIN
      PERFORM FROM audit.head FOR UPDATE;
      set_aside := 0;
      WITH gone AS (
        DELETE FROM audit.pending WHERE id IN (
          SELECT waiting.id FROM audit.pending AS waiting ORDER BY waiting.placed_at, waiting.id LIMIT batch)
        RETURNING pending
      )
      SELECT coalesce(array_agg(gone.pending ORDER BY (gone.pending).placed_at, (gone.pending).id), '{}')
        INTO moved FROM gone;
      taken := cardinality(moved);
      FOREACH one IN ARRAY moved LOOP
        IF EXISTS (SELECT FROM audit.entry AS old WHERE old.id = one.id AND old.body <> one.body) THEN
          PERFORM audit.set_aside(one, 'another entry of that id has a number');
          set_aside := set_aside + 1;
        ELSE
          others := others || one;
        END IF;
      END LOOP;
      BEGIN
        PERFORM audit.number(others);
      EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
        FOREACH one IN ARRAY others LOOP
          BEGIN
            PERFORM audit.number(ARRAY[one]);
          EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
            PERFORM audit.set_aside(one, SQLERRM);
            set_aside := set_aside + 1;
          END;
        END LOOP;
      END;
    END $$
    """,
    # What waits must be sure to get its number: it is read here, in the change's transaction, or the change is refused.
    """
    CREATE FUNCTION audit.check_pending() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      said audit.description;
    BEGIN
      SELECT * INTO said FROM audit.describe(ARRAY[0], ARRAY[NEW.body]);
      PERFORM audit.require_room(said.room);
      IF said.id IS DISTINCT FROM NEW.id OR NOT audit.is_whole(said) OR length(NEW.salt) <> 32
         OR length(NEW.body) > 65535 THEN
        RAISE EXCEPTION 'what is to be numbered is no entry' USING ERRCODE = 'data_exception';
      END IF;
      IF NOT EXISTS (SELECT FROM audit.writer WHERE id = NEW.writer AND room = said.room)
         OR length(NEW.voucher) IS DISTINCT FROM 64 THEN
        RAISE EXCEPTION 'nobody vouches for it' USING ERRCODE = 'insufficient_privilege';
      END IF;
      NEW.placed_at := clock_timestamp();
      RETURN NEW;
    END $$
    """,
)

TRIGGERS = (
    # Asked of the row and not of a function, which each append would call.
    "DROP TRIGGER head_only_grows ON audit.head",
    "CREATE TRIGGER head_only_grows BEFORE UPDATE ON audit.head FOR EACH ROW "
    "WHEN (NEW.next < OLD.next OR NEW.log_id <> OLD.log_id OR NEW.chained_from <> OLD.chained_from) "
    "EXECUTE FUNCTION audit.check_head()",
    "CREATE TRIGGER pending_is_an_entry BEFORE INSERT ON audit.pending "
    "FOR EACH ROW EXECUTE FUNCTION audit.check_pending()",
)


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS, *TRIGGERS):
        op.execute(statement)
    for table in ("audit.writer", "audit.batch"):
        append_only(table)
    op.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC")
    called = (
        "audit.open_writer(uuid, text, text, bytea)",
        "audit.append(uuid, bigint, uuid[], bytea[], bytea[], bytea, bytea, boolean)",
        "audit.append_again(uuid, bigint, uuid[], bytea[], bytea[], bytea, bytea)",
    )
    for room in WRITERS:
        op.execute(f"GRANT EXECUTE ON FUNCTION {', '.join(called)} TO {role(room)}")
        op.execute(f"GRANT INSERT (writer, voucher) ON audit.pending TO {role(room)}")
    op.execute(f"GRANT SELECT ON audit.writer, audit.batch TO {role('privacy')}")
    op.execute(
        f"GRANT EXECUTE ON FUNCTION audit.move_pending(integer), audit.signed(bigint, timestamptz) TO {role('audit')}"
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
