"""Takes orders on a port of loopback: python3 service.py DSN

Requests marked `X-Shadow-Mode: rollback`, or with `"meta": {"shadow": "rollback"}` in a JSON body, are carried out,
answered, and rolled back.
docs/shadow-contract.md says what services owe to the marks; InTransaction is what to copy.
"""

import io
import json
import sys
from contextlib import closing
from wsgiref.simple_server import make_server

import psycopg2


class InTransaction:
    """WSGI middleware that runs every request in a database transaction, and rolls it back at the
    end when the request is marked so.

    Its connection belongs to the request alone: if the request is given up half-way, the
    connection is closed and the server rolls back. A service with a pool must see to that itself.
    """

    def __init__(self, app, dsn):
        self.app = app
        self.dsn = dsn

    def __call__(self, environ, start_response):
        rollback = asks_for_rollback(environ)
        with closing(psycopg2.connect(self.dsn)) as connection:
            if rollback:
                with connection.cursor() as cursor:
                    # Seen by the trigger in orders.sql, the net below this middleware.
                    cursor.execute("SET LOCAL shadow.synthetic = '1'")
            environ["shadow.connection"] = connection
            environ["shadow.rollback"] = rollback
            answer = []
            body = list(self.app(environ, lambda *head: answer.append(head)))
            succeeded = answer[0][0].startswith("2")
            if rollback or not succeeded:
                connection.rollback()
            else:
                connection.commit()
        # The answer leaves when the transaction is over, so that it never says too much.
        start_response(*answer[0])
        return body


def asks_for_rollback(environ):
    """True for a request that is marked so: in its header, or in its body, for what sends flags there."""
    if environ.get("HTTP_X_SHADOW_MODE") == "rollback":
        return True
    if environ.get("CONTENT_TYPE", "").partition(";")[0] != "application/json":
        return False
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    # The application reads it, too.
    environ["wsgi.input"] = io.BytesIO(body)
    try:
        return json.loads(body)["meta"]["shadow"] == "rollback"
    except (ValueError, LookupError, TypeError):
        return False


def orders(environ, start_response):
    """Takes an order, which is the body, and answers with its number; or gives one. Nothing here asks whether the
    database keeps it; only what a database cannot take back does."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    number = path.removeprefix("/orders/")
    if method == "GET" and number.isdecimal():
        return order(environ, start_response, int(number))
    if (method, path) != ("POST", "/orders"):
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    item = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    with environ["shadow.connection"].cursor() as cursor:
        cursor.execute("INSERT INTO orders (item) VALUES (%s) RETURNING id", (item,))
        (number,) = cursor.fetchone()
    if not environ["shadow.rollback"]:
        notify_warehouse(number)
    body = f"order {number}\n".encode()
    head = [("Content-Length", str(len(body))), ("Location", f"/orders/{number}")]
    start_response("201 Created", head)
    return [body]


def order(environ, start_response, number):
    """Gives the item of an order that is there."""
    with environ["shadow.connection"].cursor() as cursor:
        cursor.execute("SELECT item FROM orders WHERE id = %s", (number,))
        row = cursor.fetchone()
    body = row[0].encode() if row else b""
    start_response("200 OK" if row else "404 Not Found", [("Content-Length", str(len(body)))])
    return [body]


def notify_warehouse(number):
    """Stands for a message, a mail or a payment: what no rollback takes back."""
    print(f"warehouse: order {number}", flush=True)


if __name__ == "__main__":
    with make_server("127.0.0.1", 0, InTransaction(orders, sys.argv[1])) as server:
        print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
