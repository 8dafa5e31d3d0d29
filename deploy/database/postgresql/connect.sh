# What golden.sh and clone.sh have in common: how statements get to the databases.

: "${PRODUCTION:?a connection string}" "${GOLDEN:?a connection string}"

# run CONNECTION ARGUMENT…
run() {
    connection=$1
    shift
    psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "$connection" "$@"
}

production() { run "$PRODUCTION" "$@"; }
golden() { run "$GOLDEN" "$@"; }
