-- A run of `mirror compare` that added pairs. `lost`: pairs that it could not store.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    begun INTEGER NOT NULL,
    facts TEXT NOT NULL,
    lost INTEGER NOT NULL DEFAULT 0
);

-- Pairs of an endpoint in which the same fields differ. Those with numbers from `threshold` on are not stored.
CREATE TABLE kind (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    fields INTEGER NOT NULL,
    threshold INTEGER NOT NULL,
    pairs INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    UNIQUE (endpoint, fields)
);

-- The fields that differ in a kind.
CREATE TABLE field (
    path TEXT NOT NULL,
    class TEXT NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (path, class, kind)
) WITHOUT ROWID;

-- How many pairs were compared: in the hour in which they were stored, of a kind, by the minute of production's response.
CREATE TABLE seen (
    hour INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    pairs INTEGER NOT NULL,
    PRIMARY KEY (hour, kind, minute)
) WITHOUT ROWID;

-- The stored pairs. `data` comes last: what is before it is read without it.
CREATE TABLE pair (
    sequence INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    number INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX pair_by_kind ON pair (kind, minute, number);
CREATE INDEX pair_by_time ON pair (minute);
