-- The table of both samples, and a net below them: a transaction that was begun for a synthetic
-- request cannot be committed, whatever the service's code does.

CREATE TABLE orders (id bigserial PRIMARY KEY, item text NOT NULL);

CREATE FUNCTION forbid_synthetic_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('shadow.synthetic', true) = '1' THEN
    RAISE EXCEPTION 'a synthetic transaction must be rolled back'
      USING ERRCODE = 'read_only_sql_transaction';
  END IF;
  RETURN NULL;
END $$;

-- Deferred: it fires at COMMIT, so that the transaction sees its own rows until then.
CREATE CONSTRAINT TRIGGER no_synthetic_commit
  AFTER INSERT OR UPDATE OR DELETE ON orders
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION forbid_synthetic_commit();
