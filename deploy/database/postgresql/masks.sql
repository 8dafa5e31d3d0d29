-- Run once in the golden database, before it subscribes; golden.sh does. The columns are those of the example.

-- What is not published is not there, whatever production demands.
ALTER TABLE customers ALTER COLUMN ssn DROP NOT NULL;

-- A secret of this database, so that nobody can find an address by trying all. Equal addresses have equal masks.
CREATE SCHEMA shadow_masks;
CREATE TABLE shadow_masks.pepper AS SELECT gen_random_uuid()::text AS pepper;
REVOKE ALL ON SCHEMA shadow_masks FROM PUBLIC;

CREATE FUNCTION shadow_masks.mask_customer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
BEGIN
    NEW.email := 'u-' || substr(encode(sha256(convert_to(pepper || NEW.email, 'UTF8')), 'hex'), 1, 16)
        || '@redacted.invalid' FROM shadow_masks.pepper;
    RETURN NEW;
END $$;

CREATE TRIGGER mask_customer BEFORE INSERT OR UPDATE ON customers
    FOR EACH ROW EXECUTE FUNCTION shadow_masks.mask_customer();
-- For rows that are replicated, the first copy included; not for those that a shadow writes in a clone.
ALTER TABLE customers ENABLE REPLICA TRIGGER mask_customer;
