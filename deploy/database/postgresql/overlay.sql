-- Production's data as they are now, with a layer for what shadows write: nothing is copied. For one shadow database, once:
--
--   psql SHADOW --set host=replica --set port=5432 --set dbname=shop --set user=reader --set password=… -f overlay.sql
--   psql SHADOW -c "CALL shadow_layer.overlay('orders', 'id')"
--
-- `user` is a role of production, or better of a replica of it, that may read and nothing else. Reads fall through to it unless the row was written
-- here. What a view cannot do, this cannot: see docs/database.md.
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SCHEMA production;
CREATE SCHEMA shadow_layer;
CREATE SERVER production FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host :'host', port :'port', dbname :'dbname', updatable 'false');
CREATE USER MAPPING FOR CURRENT_USER SERVER production OPTIONS (user :'user', password :'password');

-- Makes a view of the table's name, which shadows read and write. `key` is its primary key, of one column.
CREATE PROCEDURE shadow_layer.overlay(name text, key text) LANGUAGE plpgsql AS $$
DECLARE
    columns text;
    fresh text;
    first_id constant bigint := 1000000000;
BEGIN
    EXECUTE format('IMPORT FOREIGN SCHEMA public LIMIT TO (%I) FROM SERVER production INTO production', name);
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg('NEW.' || quote_ident(attname), ', ' ORDER BY attnum)
        INTO columns, fresh FROM pg_attribute
        WHERE attrelid = format('production.%I', name)::regclass AND attnum > 0 AND NOT attisdropped;
    EXECUTE format('CREATE TABLE shadow_layer.%1$I (LIKE production.%1$I, is_deleted boolean NOT NULL DEFAULT false, PRIMARY KEY (%2$I))', name, key);
    -- Ids of its own, far from production's.
    EXECUTE format('CREATE SEQUENCE shadow_layer.%I START %s', name || '_ids', first_id);
    EXECUTE format('CREATE VIEW public.%1$I AS
        SELECT %2$s FROM shadow_layer.%1$I WHERE NOT is_deleted
        UNION ALL
        SELECT %2$s FROM production.%1$I AS there
        WHERE NOT EXISTS (SELECT FROM shadow_layer.%1$I AS here WHERE here.%3$I = there.%3$I)', name, columns, key);
    EXECUTE format('ALTER VIEW public.%I ALTER COLUMN %I SET DEFAULT nextval(%L)', name, key, format('shadow_layer.%I', name || '_ids'));
    EXECUTE format('CREATE FUNCTION shadow_layer.%1$I() RETURNS trigger LANGUAGE plpgsql AS $f$
        BEGIN
            IF TG_OP IN (''UPDATE'', ''DELETE'') THEN
                INSERT INTO shadow_layer.%2$I (%3$s, is_deleted) SELECT (OLD).*, true
                    ON CONFLICT (%4$I) DO UPDATE SET is_deleted = true;
            END IF;
            IF TG_OP = ''DELETE'' THEN
                RETURN OLD;
            END IF;
            IF TG_OP = ''INSERT'' OR NEW.%4$I IS DISTINCT FROM OLD.%4$I THEN
                IF EXISTS (SELECT FROM public.%2$I WHERE %4$I = NEW.%4$I) THEN
                    RAISE unique_violation USING MESSAGE = format(''%2$s: key %%s is taken'', NEW.%4$I);
                END IF;
            END IF;
            DELETE FROM shadow_layer.%2$I WHERE %4$I = NEW.%4$I;
            INSERT INTO shadow_layer.%2$I (%3$s) VALUES (%5$s);
            RETURN NEW;
        END $f$', name || '_write', name, columns, key, fresh);
    EXECUTE format('CREATE TRIGGER overlay INSTEAD OF INSERT OR UPDATE OR DELETE ON public.%I
        FOR EACH ROW EXECUTE FUNCTION shadow_layer.%I()', name, name || '_write');
END $$;
