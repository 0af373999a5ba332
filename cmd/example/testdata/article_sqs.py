# SPDX-License-Identifier: Apache-2.0

"""The article's service: python-socketio, and a background task that polls a queue of SQS until the stop event is set.

    python3 article_sqs.py PORT QUEUE_URL
"""

import asyncio
import json
import sys

import aiohttp
import socketio
from aiohttp import web

import sqs

port, queue = int(sys.argv[1]), sys.argv[2]
sio = socketio.AsyncServer(async_mode="aiohttp")
app = web.Application()
sio.attach(app)


@sio.event
async def item_removed(sid, item):
    await sio.emit("item_removed", item)


async def poll(stop):
    async with aiohttp.ClientSession() as session:
        while not stop.is_set():
            try:
                # One at a time, so that one that fails holds up no other for longer than the wait below.
                batch = await sqs.call(session, "ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=1, WaitTimeSeconds=1,
                                       VisibilityTimeout=600)
                for message in batch.get("Messages", []):
                    await sio.emit("item_added", json.loads(message["Body"]))
                    await sqs.call(session, "DeleteMessage", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            except Exception as e:
                print("polling failed:", e, flush=True)
                try:
                    await asyncio.wait_for(stop.wait(), 5)
                except asyncio.TimeoutError:
                    pass


async def start(app):
    app["stop"] = asyncio.Event()
    app["poll"] = asyncio.create_task(poll(app["stop"]))


async def stop(app):
    app["stop"].set()
    await app["poll"]
    print("the poll task has ended", flush=True)


async def ready(request):
    return web.Response(text="ok")


app.on_startup.append(start)
app.on_shutdown.append(stop)
app.router.add_get("/readyz", ready)
web.run_app(app, host="127.0.0.1", port=port, print=None, shutdown_timeout=1)
