#!/bin/sh
# The golden database: a masked copy of production that follows it, and that nobody else writes to.
#
#   golden.sh create                 schema, masks, subscription; waits until the first copy is complete
#   golden.sh schema                 schema and masks alone, for what fills it by other means (debezium.py)
#   golden.sh status                 how far it is behind; fails if replication has stopped
#   golden.sh recover 'STATEMENT'    carries out STATEMENT, which removes what conflicts, and goes on
#   golden.sh drop                   ends the subscription and frees what production keeps for it
#
# PRODUCTION and GOLDEN are connection strings of libpq, such as "host=db user=shadow dbname=shop". The golden database is
# there and empty. PRODUCTION's user may replicate and read the published tables; GOLDEN's is a superuser.
set -eu

here=$(dirname "$0")
. "$here/connect.sh"
patience=${PATIENCE:-600}

# until_true WHAT QUERY: waits until the query at the golden database says t.
until_true() {
    deadline=$(($(date +%s) + patience))
    while [ "$(golden --command "$2")" != t ]; do
        if [ "$(date +%s)" -ge "$deadline" ]; then
            echo "golden.sh: $1: not within $patience s" >&2
            exit 1
        fi
        # PostgreSQL has no condition to wait for from outside.
        golden --command 'SELECT pg_sleep(0.1)' >/dev/null
    done
}

schema() {
    pg_dump --schema-only --no-publications --no-subscriptions --no-owner --no-privileges --dbname "$PRODUCTION" |
        golden >/dev/null
    golden --file "$here/masks.sql"
}

create() {
    schema
    # An error stops the subscription, and production's WAL is kept meanwhile: better than to try for ever.
    golden --set production="$PRODUCTION" >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE SUBSCRIPTION shadow CONNECTION :'production' PUBLICATION shadow WITH (disable_on_error = true);
SQL
    until_true "the first copy is complete" \
        "SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel"
    echo "golden database: $(golden --command 'SELECT count(*) FROM pg_subscription_rel') tables, following production"
}

status() {
    golden --command "SELECT format('%s, %s apply errors, %s errors of the first copy',
        CASE WHEN subenabled THEN 'following' ELSE 'stopped by an error' END, apply_error_count, sync_error_count)
        FROM pg_subscription JOIN pg_stat_subscription_stats ON subid = oid WHERE pg_subscription.subname = 'shadow'"
    production --command "SELECT format('production keeps %s of WAL for it (%s)',
        pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), wal_status)
        FROM pg_replication_slots WHERE slot_name = 'shadow'"
    [ "$(golden --command "SELECT subenabled FROM pg_subscription WHERE subname = 'shadow'")" = t ]
}

recover() {
    golden --command "$1" --command 'ALTER SUBSCRIPTION shadow ENABLE' >/dev/null
    before=$(production --command 'SELECT pg_current_wal_lsn()')
    until_true "replication reaches $before; see the server's log for what conflicts" \
        "SELECT coalesce(bool_or(latest_end_lsn >= '$before'), false) FROM pg_stat_subscription WHERE subname = 'shadow'"
    echo "following again, up to $before"
}

case "${1:-}" in
create) create ;;
schema) schema ;;
status) status ;;
recover) recover "${2:?a statement that removes what conflicts}" ;;
drop) golden --command 'SET client_min_messages = warning' --command 'DROP SUBSCRIPTION shadow' ;;
*)
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
