# SPDX-License-Identifier: Apache-2.0

"""A client of python-socketio: prints what it hears, and adds and removes an item."""

import sys

import socketio

client = socketio.Client()
heard = []
for name in ("items", "item_added", "item_removed"):
    client.on(name, lambda body, name=name: heard.append((name, body)))


def wait(name, key):
    for _ in range(500):
        for event, body in heard:
            if event == name and body.get("key") == key:
                return body
        client.sleep(0.02)
    sys.exit(f"{name} of {key} has not come; heard {heard}")


client.connect(sys.argv[1], transports=sys.argv[2].split(","))
print("watching", flush=True)
other = sys.stdin.readline().strip()
print("heard", wait("item_added", other)["text"], flush=True)
key = client.call("add", {"text": "from Python"}, timeout=10)["key"]
print("added", wait("item_added", key)["text"], flush=True)
assert client.call("item_removed", {"key": other}, timeout=10) == {"removed": True}
assert wait("item_removed", other) == {"key": other}
print("removed", flush=True)
assert "none" in client.call("add", {"text": " "}, timeout=10)["error"]["message"]
client.disconnect()
