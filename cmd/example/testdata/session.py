# SPDX-License-Identifier: Apache-2.0

"""A scripted session of two clients of python-socketio with a service that tells what is in a queue of SQS. It prints what
each of them has seen, in order.

    python3 session.py URL polling|websocket|polling,websocket QUEUE_URL
"""

import asyncio
import json
import sys

import aiohttp
import socketio

import sqs

url, transports, queue = sys.argv[1], sys.argv[2].split(","), sys.argv[3]


class Client:
    def __init__(self, name):
        self.name, self.seen = name, []
        self.io = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.2)
        self.io.on("connect", lambda: self.saw("connected"))
        self.io.on("disconnect", lambda: self.saw("disconnected"))
        self.io.on("*", self.saw)

    def saw(self, *what):
        if what[0] in ("items", "stopping"):
            return  # what the article's service does not tell: its list at the connect, that it stops
        if what[0] == "item_added":
            what[1].pop("seq", None)  # its place in that list
        self.seen.append(json.dumps(what, sort_keys=True, ensure_ascii=False))

    async def connect(self):
        await self.io.connect(url, transports=transports)
        await self.until("connected")

    async def until(self, *what):
        """Waits until that is the last thing that the client has seen."""
        want = json.dumps(what, sort_keys=True, ensure_ascii=False)
        for _ in range(3000):
            if self.seen and self.seen[-1] == want:
                return
            await asyncio.sleep(0.01)
        sys.exit(f"{self.name} has not seen {want} in the end, but {self.seen}")


async def script(session):
    async def send(body):
        await sqs.call(session, "SendMessage", QueueUrl=queue, MessageBody=body)

    async def add(key, text, *to):
        item = {"key": key, "text": text}
        await send(json.dumps(item))
        for client in to:
            await client.until("item_added", item)

    async def remove(by, key):
        await by.io.emit("item_removed", {"key": key})
        for client in (a, b):
            await client.until("item_removed", {"key": key})

    a, b = Client("a"), Client("b")
    await a.connect()
    await add("tea", "Tea from Assam", a)
    await b.connect()
    await add("bread", "Bröd <b>with</b> \"seeds\" & 盐", a, b)
    await remove(a, "tea")

    await send('{"key": "broken", "text": "no JS')
    await add("pears", "Pears, four or five", a, b)
    await remove(b, "bread")

    await b.io.disconnect()
    await b.until("disconnected")
    await add("salt", "Salt, while b is away", a)
    await b.connect()
    await add("rice", "Rice, when b is back", a, b)

    # Not by polling: a server that stops as the reference does tells who polls that it closes, and these clients do not come
    # back after that. The article's service does not tell.
    if transports == ["websocket"]:
        print("end the service", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for client in (a, b):
            await client.until("disconnected")
        print("start the service", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for client in (a, b):
            await client.until("connected")
        await remove(b, "rice")
        await add("milk", "Milk, of the next process", a, b)
    for client in (a, b):
        await client.io.disconnect()
        await client.until("disconnected")
        for line in client.seen:
            print(client.name, line)


async def main():
    async with aiohttp.ClientSession() as session:
        await script(session)


asyncio.run(asyncio.wait_for(main(), 110))
