# SPDX-License-Identifier: Apache-2.0

# A scripted session of Debian's python3-socketio client; it prints what it sees.
#   python3 scenario.py PORT polling|websocket|upgrade
import asyncio
import json
import sys

import socketio

port, mode = sys.argv[1:]
transports = {"polling": ["polling"], "websocket": ["websocket"]}.get(mode)
lines = {}  # by client: between clients there is no order


def log(name, *args):
    text = json.dumps((name, *args), default=lambda b: b.hex() if isinstance(b, bytes) else str(b))
    lines.setdefault(name, []).append(text)


async def opened(name, namespace="/", auth=None):
    s = socketio.AsyncClient(reconnection=False)
    welcome = asyncio.get_running_loop().create_future()

    async def on_welcome(*args):
        log(name, "welcome", *args)
        welcome.set_result(None)

    s.on("welcome", on_welcome, namespace=namespace)
    s.on("said", lambda *args: log(name, "said", *args), namespace=namespace)
    s.on("back", lambda *args: log(name, "back", *args), namespace=namespace)
    s.on("question", lambda q: q + "!", namespace=namespace)
    s.on("connect_error", lambda *args: log(name, "refused", *args), namespace=namespace)
    try:
        await s.connect(f"http://127.0.0.1:{port}", transports=transports, namespaces=[namespace],
                        auth=auth or {"name": name}, wait_timeout=2)
    except socketio.exceptions.ConnectionError as e:
        log(name, "not connected", str(e))
        return s
    await asyncio.wait_for(welcome, 10)
    log(name, "transport", s.transport(), len(s.get_sid(namespace)))
    return s


async def main():
    a = await opened("a")
    b = await opened("b")

    async def flush():
        await a.call("echo", 0)
        await b.call("echo", 0)

    log("rooms", await a.call("join", "red"), await b.call("join", "red"), await b.call("join", "blue"))
    for event, *args in [["all", "1"], ["room", "red", "2"], ["others", "3"], ["except", "blue", "4"], ["others in", "red", "5"]]:
        await a.emit(event, tuple(args))
        await flush()
    log("left", await b.call("leave", "red"))
    log("echo", await a.call("echo", (1, "zwei", {"drei": [True, None, 4.5, "é"]})))
    log("binary", await a.call("echo", (b"\x01\x02", {"in": [b"x"]})))
    await a.emit("back", ("text", b"\x00\xff", {"deep": {"er": b""}}))
    await flush()
    log("asked", await a.call("ask", "what"))
    admin = await opened("admin", "/admin")
    await admin.emit("all", "in admin only", namespace="/admin")
    await admin.call("echo", 0, namespace="/admin")
    await opened("nobody", "/none")
    await opened("bad", auth={"token": "bad"})
    await a.call("reasons")
    c = await opened("c")
    await c.emit("kick")
    await c.wait()
    d = await opened("d")
    await d.disconnect()
    reasons = []
    for _ in range(200):
        reasons += await a.call("reasons")
        if len(reasons) == 2:
            break
        await asyncio.sleep(0.01)
    # By polling this client may abort its poll before it tells the server: there
    # is a race for the second reason.
    log("reasons", *reasons[:1 if mode == "polling" else 2])
    for s in (a, b, admin):
        await s.disconnect()
    for name in sorted(lines):
        print("\n".join(lines[name]))


asyncio.run(asyncio.wait_for(main(), 30))
