"""Audit: numbered entries, entries waiting for a number, the stored tree, signed checkpoints.

Whoever writes an entry gives its canonical text and a salt, no more: the commitment and the columns that are searched
by are worked out here, so that they cannot disagree with the text. Nobody inserts into `audit.entry`; the two functions
that number do, under the one row lock of `audit.head`, which is held until commit: numbers have no gaps and readers
see no hole that fills later.
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0003"
down_revision = "0002"

WRITERS = ("identity", "permits", "payments", "healthcode", "privacy", "worker")

TABLES = (
    """
    CREATE TABLE audit.head (
      singleton smallint NOT NULL CHECK (singleton = 1),
      log_id uuid NOT NULL,
      next bigint NOT NULL CHECK (next >= 0),
      CONSTRAINT pk_head PRIMARY KEY (singleton)
    )
    """,
    """
    CREATE TABLE audit.entry (
      seq bigint NOT NULL CHECK (seq >= 0),
      id uuid NOT NULL,
      at timestamptz NOT NULL,
      room text NOT NULL,
      kind text NOT NULL,
      actor text NOT NULL,
      client text NOT NULL,
      purpose text NOT NULL,
      outcome text NOT NULL CHECK (outcome IN ('allowed', 'refused')),
      code text,
      subject_tag bytea,
      object text,
      case_id uuid,
      coordinates text[] NOT NULL,
      forms text[] NOT NULL,
      salt bytea NOT NULL CHECK (length(salt) = 32),
      body bytea NOT NULL CHECK (length(body) <= 65535),
      commitment bytea NOT NULL,
      numbered_at timestamptz NOT NULL,
      CONSTRAINT pk_entry PRIMARY KEY (seq),
      CONSTRAINT uq_entry_id UNIQUE (id)
    )
    """,
    "CREATE INDEX ix_entry_subject_tag ON audit.entry (subject_tag, seq) WHERE subject_tag IS NOT NULL",
    "CREATE INDEX ix_entry_actor ON audit.entry (actor, seq)",
    "CREATE INDEX ix_entry_client ON audit.entry (client, seq)",
    "CREATE INDEX ix_entry_purpose ON audit.entry (purpose, seq)",
    "CREATE INDEX ix_entry_asked ON audit.entry (purpose, at) WHERE kind IN ('read', 'refusal')",
    "CREATE INDEX ix_entry_coordinates ON audit.entry USING gin (coordinates)",
    "CREATE INDEX ix_entry_at ON audit.entry USING brin (at)",
    "CREATE INDEX ix_entry_refused ON audit.entry (seq) WHERE outcome = 'refused'",
    """
    CREATE TABLE audit.pending (
      id uuid NOT NULL,
      salt bytea NOT NULL,
      body bytea NOT NULL,
      placed_at timestamptz NOT NULL,
      CONSTRAINT pk_pending PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_pending_placed_at ON audit.pending (placed_at, id)",
    """
    CREATE TABLE audit.rejected (
      id uuid NOT NULL,
      rejected_at timestamptz NOT NULL,
      salt bytea NOT NULL,
      body bytea NOT NULL,
      placed_at timestamptz NOT NULL,
      reason text NOT NULL,
      CONSTRAINT pk_rejected PRIMARY KEY (id, rejected_at)
    )
    """,
    """
    CREATE TABLE audit.node (
      level integer NOT NULL CHECK (level BETWEEN 0 AND 62),
      index bigint NOT NULL CHECK (index >= 0),
      hash bytea NOT NULL CHECK (length(hash) = 32),
      CONSTRAINT pk_node PRIMARY KEY (level, index)
    )
    """,
    """
    CREATE TABLE audit.checkpoint (
      size bigint NOT NULL CHECK (size >= 0),
      note text NOT NULL,
      key_id text NOT NULL,
      signed_at timestamptz NOT NULL,
      CONSTRAINT pk_checkpoint PRIMARY KEY (size)
    )
    """,
)

FUNCTIONS = (
    # Everything that stands beside the text of each entry, worked out from it; `seq` is left for whoever numbers. What
    # is no entry of a version known here comes out without an id, which no table takes. Set-based, and called only by
    # functions that pin search_path: a call for each entry would double its cost. OFFSET 0 has each text read once.
    """
    CREATE FUNCTION audit.describe(salts bytea[], bodies bytea[]) RETURNS audit.entry[]
    LANGUAGE sql STABLE AS $$
      SELECT array_agg(ROW(
               NULL,
               CASE WHEN said ->> 'v' = 'gov-audit/1' THEN (said ->> 'id')::uuid END,
               (said ->> 'at')::timestamptz,
               said ->> 'room',
               said ->> 'kind',
               said ->> 'actor',
               said ->> 'client',
               said ->> 'purpose',
               said ->> 'outcome',
               said ->> 'code',
               decode(said ->> 'subject_tag', 'hex'),
               said ->> 'object',
               (said ->> 'case')::uuid,
               ARRAY(SELECT pair ->> 0 FROM jsonb_array_elements(said -> 'coordinates') AS pair),
               ARRAY(SELECT pair ->> 1 FROM jsonb_array_elements(said -> 'coordinates') AS pair),
               salt,
               body,
               sha256('\\x01'::bytea || salt || body),
               NULL)::audit.entry ORDER BY place)
        FROM unnest(salts, bodies) WITH ORDINALITY AS given(salt, body, place)
       CROSS JOIN LATERAL (SELECT convert_from(body, 'UTF8')::jsonb AS said OFFSET 0) AS parsed
    $$
    """,
    # What every entry has, no longer than Entry allows it and than an index takes: one that is let in gets its number.
    """
    CREATE FUNCTION audit.is_whole(given audit.entry) RETURNS boolean
    LANGUAGE sql IMMUTABLE AS $$
      SELECT (given.id, given.at, given.room, given.kind, given.actor, given.client, given.purpose, given.outcome)
             IS NOT NULL
         AND given.outcome IN ('allowed', 'refused') AND isfinite(given.at)
         AND length(given.salt) = 32 AND length(given.body) <= 65535
         AND greatest(octet_length(given.room), octet_length(given.kind), octet_length(given.actor),
                      octet_length(given.client), octet_length(given.purpose), octet_length(given.code),
                      octet_length(given.object), octet_length(given.subject_tag)) <= 500
         AND NOT EXISTS (SELECT FROM unnest(given.coordinates || given.forms) AS part
                          WHERE part IS NULL OR octet_length(part) > 500)
    $$
    """,
    # A room speaks for itself only. The owner, who migrates and keeps keys, may speak for any.
    """
    CREATE FUNCTION audit.require_room(room text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF session_user <> current_user AND right(session_user::text, length(room) + 1) <> '_' || room THEN
        RAISE EXCEPTION '% writes no entries of room %', session_user, room USING ERRCODE = 'insufficient_privilege';
      END IF;
    END $$
    """,
    """
    CREATE FUNCTION audit.set_aside(one audit.pending, because text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
      INSERT INTO audit.rejected (id, rejected_at, salt, body, placed_at, reason)
      VALUES (one.id, clock_timestamp(), one.salt, one.body, one.placed_at, because)
    $$
    """,
    # Numbers what is new among `given`, in order; an entry whose id has a number keeps it.
    """
    CREATE FUNCTION audit.number(given audit.entry[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      first bigint;
      added bigint;
    BEGIN
      SELECT next INTO STRICT first FROM audit.head FOR UPDATE;
      INSERT INTO audit.entry (seq, id, at, room, kind, actor, client, purpose, outcome, code, subject_tag, object,
                               case_id, coordinates, forms, salt, body, commitment, numbered_at)
      SELECT first + row_number() OVER (ORDER BY new.ordinality) - 1, id, at, room, kind, actor, client, purpose,
             outcome, code, subject_tag, object, case_id, coordinates, forms, salt, body, commitment, clock_timestamp()
        FROM (
          SELECT DISTINCT ON (one.id) one.* FROM unnest(given) WITH ORDINALITY AS one
           WHERE NOT EXISTS (SELECT FROM audit.entry AS old WHERE old.id = one.id)
           ORDER BY one.id, one.ordinality
        ) AS new;
      GET DIAGNOSTICS added = ROW_COUNT;
      UPDATE audit.head SET next = first + added;
    END $$
    """,
    # Seconds that the oldest entry has been waiting to be under a signed checkpoint; null when none waits.
    """
    CREATE FUNCTION audit.lag_s() RETURNS double precision
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      SELECT extract(epoch FROM clock_timestamp() - least(
        (SELECT numbered_at FROM audit.entry WHERE seq = coalesce((SELECT max(size) FROM audit.checkpoint), 0)),
        (SELECT min(placed_at) FROM audit.pending)))::double precision
    $$
    """,
    """
    CREATE FUNCTION audit.append(salts bytea[], bodies bytea[])
    RETURNS TABLE (entry_id uuid, entry_seq bigint, same boolean, lag_s double precision)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      given audit.entry[];
    BEGIN
      IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
      END IF;
      given := audit.describe(salts, bodies);
      PERFORM audit.require_room(named.room) FROM (SELECT DISTINCT one.room FROM unnest(given) AS one) AS named;
      IF NOT (SELECT bool_and(audit.is_whole(one)) FROM unnest(given) AS one) THEN
        RAISE EXCEPTION 'what is to be numbered is no entry' USING ERRCODE = 'data_exception';
      END IF;
      PERFORM audit.number(given);
      RETURN QUERY
        SELECT stored.id, stored.seq, bool_and(stored.body = one.body), (SELECT audit.lag_s())
          FROM unnest(given) AS one JOIN audit.entry AS stored ON stored.id = one.id
         GROUP BY stored.id, stored.seq;
    END $$
    """,
    # When an actor, or an office, asked about people under a purpose since a moment: for counters that were lost. One
    # moment for each that was looked up, and for each about whom a request decided without looking up.
    """
    CREATE FUNCTION audit.asked(by_actor text, by_office text, under text, since timestamptz) RETURNS timestamptz[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      WITH asked AS (
        SELECT one.at, one.id, one.subject_tag,
               said ->> 'action' = 'look-up' AS looked_up,
               bool_or(said ->> 'action' = 'look-up') OVER (PARTITION BY said ->> 'request') AS sought
          FROM audit.entry AS one
         CROSS JOIN LATERAL (SELECT convert_from(one.body, 'UTF8')::jsonb AS said OFFSET 0) AS parsed
         WHERE one.purpose = under AND one.at > since AND one.kind IN ('read', 'refusal')
           AND (by_actor IS NULL OR one.actor = by_actor) AND (by_office IS NULL OR said ->> 'office' = by_office)
           AND said ->> 'action' IN ('look-up', 'disclosure')
      ), people AS (
        SELECT max(at) AS at FROM asked
         WHERE looked_up OR NOT sought
         GROUP BY CASE WHEN looked_up OR subject_tag IS NULL THEN id::text ELSE encode(subject_tag, 'hex') END
      )
      SELECT coalesce(array_agg(at ORDER BY at), '{}') FROM people
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
        PERFORM audit.number(audit.describe(array_agg(each.salt ORDER BY each.ordinality),
                                            array_agg(each.body ORDER BY each.ordinality)))
           FROM unnest(others) WITH ORDINALITY AS each HAVING count(*) > 0;
      EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
        FOREACH one IN ARRAY others LOOP
          BEGIN
            PERFORM audit.number(audit.describe(ARRAY[one.salt], ARRAY[one.body]));
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
      described audit.entry := (audit.describe(ARRAY[NEW.salt], ARRAY[NEW.body]))[1];
    BEGIN
      PERFORM audit.require_room(described.room);
      IF described.id IS DISTINCT FROM NEW.id OR NOT audit.is_whole(described) THEN
        RAISE EXCEPTION 'what is to be numbered is no entry' USING ERRCODE = 'data_exception';
      END IF;
      NEW.placed_at := clock_timestamp();
      RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION audit.check_head() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF NEW.next < OLD.next OR NEW.log_id <> OLD.log_id THEN
        RAISE EXCEPTION 'numbers are never given back' USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$
    """,
)

TRIGGERS = (
    "CREATE TRIGGER pending_is_an_entry BEFORE INSERT ON audit.pending "
    "FOR EACH ROW EXECUTE FUNCTION audit.check_pending()",
    "CREATE TRIGGER pending_does_not_change BEFORE UPDATE OR TRUNCATE ON audit.pending "
    "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()",
    "CREATE TRIGGER head_only_grows BEFORE UPDATE ON audit.head FOR EACH ROW EXECUTE FUNCTION audit.check_head()",
    "CREATE TRIGGER head_stays BEFORE DELETE OR TRUNCATE ON audit.head "
    "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()",
)


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS, *TRIGGERS):
        op.execute(statement)
    for table in ("audit.entry", "audit.rejected", "audit.node", "audit.checkpoint"):
        append_only(table)
    op.execute("INSERT INTO audit.head (singleton, log_id, next) VALUES (1, gen_random_uuid(), 0)")
    op.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC")
    for room in WRITERS:
        op.execute(f"GRANT EXECUTE ON FUNCTION audit.append(bytea[], bytea[]) TO {role(room)}")
        op.execute(f"GRANT EXECUTE ON FUNCTION audit.asked(text, text, text, timestamptz) TO {role(room)}")
        op.execute(f"GRANT INSERT (id, salt, body) ON audit.pending TO {role(room)}")
    op.execute(
        "GRANT SELECT ON audit.head, audit.entry, audit.pending, audit.rejected, audit.node, audit.checkpoint "
        f"TO {role('privacy')}"
    )
    # The integrator faces the public: it sees commitments and never an entry.
    op.execute(f"GRANT EXECUTE ON FUNCTION audit.move_pending(integer), audit.lag_s() TO {role('audit')}")
    op.execute(f"GRANT SELECT (seq, commitment) ON audit.entry TO {role('audit')}")
    op.execute(f"GRANT SELECT ON audit.head TO {role('audit')}")
    op.execute(f"GRANT SELECT, INSERT ON audit.node, audit.checkpoint TO {role('audit')}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
