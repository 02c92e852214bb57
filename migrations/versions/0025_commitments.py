"""Audit: a writer says what commits to its entries; the database asks whether that is so when it describes them.

It has signed for the commitments in its batch as it is. Hashing every text once more, in the statement that all readers
wait for, took a fifth of that statement's time.
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0025"
down_revision = "0024"

DROPPED = (
    "audit.append(uuid, bigint, uuid[], bytea[], bytea[], bytea, bytea, boolean)",
    "audit.append_again(uuid, bigint, uuid[], bytea[], bytea[], bytea, bytea)",
)
CALLED = (
    "audit.append(uuid, bigint, uuid[], bytea[], bytea[], bytea[], bytea, bytea, boolean)",
    "audit.append_again(uuid, bigint, uuid[], bytea[], bytea[], bytea[], bytea, bytea)",
)
WRITERS = ("identity", "permits", "payments", "healthcode", "privacy", "worker", "audit")

CHECK = "ALTER TABLE audit.entry ADD CONSTRAINT entry_commitment_check CHECK (length(commitment) = 32)"
FUNCTIONS = (
    # As 0013 has it, but for the commitments.
    """
    CREATE FUNCTION audit.append(by uuid, number bigint, ids uuid[], salts bytea[], bodies bytea[],
                                 commitments bytea[], items bytea, signature bytea, asks_lag boolean,
                                 OUT first bigint, OUT lag_s double precision)
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
      SELECT first + place - 1, id, by, salt, body, committed
        FROM unnest(ids, salts, bodies, commitments) WITH ORDINALITY AS given(id, salt, body, committed, place);
      IF asks_lag THEN
        lag_s := audit.lag_s();
      END IF;
    END $$
    """,
    # As 0013 has it, but for the commitments.
    """
    CREATE FUNCTION audit.append_again(by uuid, number bigint, ids uuid[], salts bytea[], bodies bytea[],
                                       commitments bytea[], items bytea, signature bytea)
    RETURNS TABLE (entry_id uuid, entry_seq bigint, same boolean, lag_s double precision)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      written bytea;
      new_ids uuid[];
      new_salts bytea[];
      new_bodies bytea[];
      new_commitments bytea[];
    BEGIN
      PERFORM FROM audit.head FOR UPDATE;
      SELECT batch.signature INTO written FROM audit.batch
       WHERE batch.writer = by AND batch.number = append_again.number;
      IF written IS DISTINCT FROM append_again.signature THEN
        IF written IS NOT NULL THEN
          RAISE EXCEPTION 'batch % of writer % is another one', number, by USING ERRCODE = 'insufficient_privilege';
        END IF;
        SELECT coalesce(array_agg(id ORDER BY place), '{}'), coalesce(array_agg(salt ORDER BY place), '{}'),
               coalesce(array_agg(body ORDER BY place), '{}'), coalesce(array_agg(committed ORDER BY place), '{}')
          INTO new_ids, new_salts, new_bodies, new_commitments
          FROM (SELECT DISTINCT ON (given.id) given.* FROM unnest(ids, salts, bodies, commitments) WITH ORDINALITY
                    AS given(id, salt, body, committed, place)
                 WHERE NOT EXISTS (SELECT FROM audit.entry AS old WHERE old.id = given.id)
                 ORDER BY given.id, given.place) AS new;
        PERFORM audit.append(by, number, new_ids, new_salts, new_bodies, new_commitments, items, signature, false);
      END IF;
      RETURN QUERY
        SELECT stored.id, stored.seq, bool_and(stored.body = given.body), (SELECT audit.lag_s())
          FROM unnest(ids, bodies) AS given(id, body) JOIN audit.entry AS stored ON stored.id = given.id
         GROUP BY stored.id, stored.seq;
    END $$
    """,
    # As 0012 has it; text that its commitment does not commit to is malformed too.
    """
    CREATE OR REPLACE FUNCTION audit.describe_from(begin bigint, batch integer) RETURNS SETOF audit.description
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      one audit.entry;
      found audit.description;
      together audit.description[];
      rooms jsonb;
    BEGIN
      SELECT jsonb_object_agg(id, room) INTO rooms FROM audit.writer WHERE id IN (
        SELECT writer FROM audit.entry WHERE seq >= begin AND seq < begin + batch);
      BEGIN
        SELECT array_agg(CASE WHEN audit.is_whole(said) AND said.id = given.id
                               AND said.room = coalesce(rooms ->> given.writer::text, said.room)
                               AND given.commitment = sha256('\\x01'::bytea || given.salt || given.body)
                              THEN said ELSE audit.malformed(given, rooms ->> given.writer::text) END)
          INTO together
          FROM (SELECT array_agg(seq) AS numbers, array_agg(body) AS bodies FROM audit.entry
                 WHERE seq >= begin AND seq < begin + batch) AS these
         CROSS JOIN LATERAL audit.describe(these.numbers, these.bodies) AS said
          JOIN audit.entry AS given ON given.seq = said.seq
         WHERE these.numbers IS NOT NULL;
        RETURN QUERY SELECT * FROM unnest(together);
        RETURN;
      EXCEPTION WHEN data_exception OR program_limit_exceeded THEN NULL;
      END;
      FOR one IN SELECT * FROM audit.entry WHERE seq >= begin AND seq < begin + batch LOOP
        BEGIN
          SELECT * INTO found FROM audit.describe(ARRAY[one.seq], ARRAY[one.body]);
          IF NOT audit.is_whole(found) OR found.id <> one.id
             OR found.room <> coalesce(rooms ->> one.writer::text, found.room)
             OR one.commitment <> sha256('\\x01'::bytea || one.salt || one.body) THEN
            found := audit.malformed(one, rooms ->> one.writer::text);
          END IF;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
          found := audit.malformed(one, rooms ->> one.writer::text);
        END;
        RETURN NEXT found;
      END LOOP;
    END $$
    """,
)


def upgrade() -> None:
    op.execute(CHECK)
    for function in DROPPED:
        op.execute(f"DROP FUNCTION {function}")
    for statement in FUNCTIONS:
        op.execute(statement)
    op.execute(f"REVOKE ALL ON FUNCTION {', '.join(CALLED)} FROM PUBLIC")
    for room in WRITERS:
        op.execute(f"GRANT EXECUTE ON FUNCTION {', '.join(CALLED)} TO {role(room)}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
