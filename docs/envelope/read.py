"""Prints the requests that a stream of mirror's holds, one line of JSON each.

pip install nats-py grpcio-tools; python3 -m grpc_tools.protoc --proto_path=. --python_out=. envelope.proto
python3 read.py nats://HOST:4222 STREAM
"""
import asyncio, json, sys
import nats
from envelope_pb2 import Envelope


async def main(server, stream):
    client = await nats.connect(server)
    messages = await client.jetstream().subscribe(f"{stream}.shard.*", stream=stream, ordered_consumer=True)
    requests = {}
    while True:
        try:
            message = await messages.next_msg(timeout=2)
        except nats.errors.TimeoutError:
            break
        envelope = Envelope.FromString(message.data)
        if envelope.version != 1 or envelope.WhichOneof("content") != "request":
            continue
        part, key = envelope.request, (envelope.run, envelope.sequence)
        first, body = requests.setdefault(key, (part, bytearray()))
        body += part.message.body
        if envelope.part + 1 == envelope.parts:
            line = first.message.head.split(b"\r\n")[0].decode("latin-1")
            print(json.dumps({"client": first.connection.client, "request": line, "body_bytes": len(body)}))
    await client.close()


asyncio.run(main(*sys.argv[1:]))
