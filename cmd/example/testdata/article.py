# SPDX-License-Identifier: Apache-2.0

"""The same service in Python: python-socketio, and a task that takes items from a queue in memory."""

import asyncio
import sys

import socketio
from aiohttp import web

sio = socketio.AsyncServer(async_mode="aiohttp")
app = web.Application()
sio.attach(app)


@sio.event
async def add(sid, item):
    await app["queue"].put(item)
    return {"key": item["key"]}


async def consume():
    while True:
        item = await app["queue"].get()
        app["items"].append(item)
        await sio.emit("item_added", item)


async def healthy(request):
    return web.Response(text="ok")


async def start(app):
    app["queue"], app["items"] = asyncio.Queue(), []
    app["task"] = asyncio.create_task(consume())


app.on_startup.append(start)
app.router.add_get("/readyz", healthy)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
