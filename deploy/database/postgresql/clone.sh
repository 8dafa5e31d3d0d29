#!/bin/sh
# A writable copy of the golden database for one run of shadows.
#
#   clone.sh create NAME    cuts it, with the ids that production gives next, and says where production stood
#   clone.sh drop NAME      throws it away
#
# PRODUCTION and GOLDEN as for golden.sh. The clone is on the golden database's server and follows nobody: what shadows write
# stays in it, and what production does later does not come. So runs are short, and each begins with a new clone.
set -eu

. "$(dirname "$0")/connect.sh"
patience=${PATIENCE:-60}

# A later parameter wins, so that the same string leads to another database of the server.
beside() {
    database=$1
    shift
    run "$GOLDEN dbname=$database" "$@"
}

create() {
    name=$1
    template=$(golden --command 'SELECT current_database()')
    stood=$(golden --command "SELECT latest_end_lsn FROM pg_stat_subscription WHERE subname = 'shadow' AND relid IS NULL")
    # A database that anybody uses cannot be copied, and replication uses it.
    trap 'golden --command "ALTER SUBSCRIPTION shadow ENABLE"' EXIT
    golden --command 'ALTER SUBSCRIPTION shadow DISABLE'
    said=$(mktemp)
    deadline=$(($(date +%s) + patience))
    until beside postgres --command "CREATE DATABASE \"$name\" TEMPLATE \"$template\"" 2>"$said"; do
        if [ "$(date +%s)" -ge "$deadline" ] || ! grep -q 'being accessed' "$said"; then
            cat "$said" >&2
            exit 1
        fi
        beside postgres --command 'SELECT pg_sleep(0.1)' >/dev/null
    done
    rm -f "$said"
    # Sequences are not replicated: without this, the first id that a shadow draws is taken already.
    production --command "SELECT format('SELECT setval(%L, %s, %L);', quote_ident(schemaname) || '.' || quote_ident(sequencename),
        coalesce(last_value, start_value), last_value IS NOT NULL) FROM pg_sequences" | beside "$name" >/dev/null
    echo "$name: production up to ${stood:-the first copy}"
}

case "${1:-}" in
create) create "${2:?the name of the clone}" ;;
drop) beside postgres --command "DROP DATABASE \"${2:?the name of the clone}\" WITH (FORCE)" ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
