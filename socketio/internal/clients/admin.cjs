// SPDX-License-Identifier: Apache-2.0

// Attacks a server's admin namespace with npm's client, as nobody's page does; then logs in as the page does, and prints
// what that is told.
//   node admin.cjs PORT
const { io } = require("client4");

const url = `http://127.0.0.1:${process.argv[2]}`;
const base = { forceNew: true, reconnection: false, transports: ["websocket"] };
const once = (s, ...events) => new Promise((ok) => events.forEach((e) => s.once(e, (...args) => ok([e, ...args]))));
const ask = (s, event, ...args) => new Promise((ok) => s.emit(event, ...args, (...got) => ok(got)));

const names = ["__proto__", "constructor", "hasOwnProperty", "\u0000", "<img src=x onerror=alert(1)>", "\u202egnp.exe", "\ud83d\ude00", "\ud83d", "'\"`\\", " ", "x".repeat(10000)];

// Who is not to get in, whatever it sends.
const logins = [
  undefined, null, 7, [], "ann", { username: "ann" }, { username: "ann", password: "wrong" }, { username: ["ann"], password: { $ne: "" } },
  { username: "__proto__", password: "__proto__" }, { __proto__: { username: "ann", password: "secret" } }, { sessionId: "__proto__" }, { sessionId: "" }, { sessionId: null, username: "", password: "" },
  { sessionId: 7 }, { sessionId: { toString: 1 } }, { username: "ann", password: "secret\u0000" }, { username: "ann\u0000", password: "secret" }, { username: "x".repeat(300000), password: "y".repeat(300000) },
  ...names.map((n) => ({ username: n, password: n })),
];

async function refused(auth) {
  const s = io(url + "/admin", { ...base, auth });
  // What is no object is a malformed packet, and ends the connection.
  const closed = new Promise((ok) => s.io.on("close", () => ok(["close"])));
  const [what, err] = await Promise.race([once(s, "connect", "connect_error"), closed]);
  s.disconnect();
  return what === "close" || what === "connect_error" && err.message === "invalid credentials";
}

async function logIn() {
  const s = io(url + "/admin", { ...base, auth: { username: "ann", password: "secret" } });
  s.told = { sockets: new Map(), events: 0, stats: 0, dropped: false };
  const add = (v) => s.told.sockets.set(v.nsp + v.id, new Set(v.rooms));
  s.on("all_sockets", (all) => all.forEach(add));
  s.on("socket_connected", add);
  s.on("room_joined", (nsp, room, id) => s.told.sockets.get(nsp + id)?.add(room));
  s.on("room_left", (nsp, room, id) => s.told.sockets.get(nsp + id)?.delete(room));
  s.on("socket_disconnected", (nsp, id) => s.told.sockets.delete(nsp + id));
  s.on("event_received", () => s.told.events++);
  s.on("server_stats", () => s.told.stats++);
  s.on("disconnect", (why) => { s.told.dropped = why; });
  const [what] = await once(s, "connect", "connect_error");
  if (what !== "connect") throw new Error("the admin was refused");
  return s;
}

const until = async (what, f) => {
  for (const end = Date.now() + 200000; !f(); ) {
    if (Date.now() > end) throw new Error("never: " + what);
    await new Promise((ok) => setTimeout(ok, 50));
  }
};

(async () => {
  // Nobody gets in, all at a time.
  const got = await Promise.all(logins.map(refused));
  console.log("refused", got.filter(Boolean).length, "of", logins.length);
  if (got.includes(false)) console.log("not refused:", JSON.stringify(logins[got.indexOf(false)]).slice(0, 200));

  // Clients in many rooms, with names that somebody has made up, and a page that sees them all.
  const clients = await Promise.all(Array.from({ length: 12 }, async () => {
    const s = io(url, base);
    await once(s, "connect");
    return s;
  }));
  const rooms = 900;
  for (const c of clients) await ask(c, "join", [...names, ...Array.from({ length: rooms }, (_, i) => `room ${i} `.padEnd(500, "r"))]);
  let page = await logIn();
  const whole = () => clients.every((c) => page.told.sockets.get("/" + c.id)?.size >= names.length + rooms);
  await until("the page knows all rooms", () => page.told.dropped || whole());
  console.log("the page knows all rooms:", whole(), "dropped:", page.told.dropped);

  // Pages and clients that are cut off at any time.
  for (let i = 0; i < 60; i++) {
    const s = io(url + "/admin", { ...base, auth: { username: "ann", password: "secret" } });
    if (i % 3) await once(s, "connect", "connect_error");
    if (i % 3 === 2) s.emit("join", "/", names[i % names.length], null);
    const socket = s.io.engine.transport.ws;
    (socket?._socket ?? s).destroy?.();
    s.io.engine.close?.();
  }

  // Actions that cannot be meant.
  page.disconnect();
  page = await logIn();
  const actions = [["join"], ["join", "/"], ["join", "/", "", null], ["join", "/none", "r", null], ["join", "/", {}, null], ["join", "/", "r", { length: 1e9 }], ["emit", "/", null, "connect"],
    ["emit", "/", null, "disconnect"], ["emit", "/", null], ["leave", "/admin\u0000", "r", null], ["_disconnect", "/", "yes", null], ["join", Buffer.from("/"), "r", null], ["emit", "__proto__", null, "x"]];
  let failed = 0;
  for (const a of actions) {
    const [answer] = await ask(page, ...a);
    if (answer?.error) failed++;
  }
  console.log("actions refused", failed, "of", actions.length);
  for (const n of names) page.emit("join", "/", n + "!", clients[0].id);
  await until("the page is told of its rooms", () => page.told.dropped || names.every((n) => page.told.sockets.get("/" + clients[0].id)?.has(n + "!") || n === "\ud83d"));
  await until("the page has the server's counts", () => page.told.dropped || page.told.stats > 1);
  console.log("page is told:", page.told.dropped || "yes");
  for (const c of clients) c.disconnect();
  await until("the page is told that they have gone", () => page.told.dropped || clients.every((c) => !page.told.sockets.has("/" + c.id)));
  console.log("clients gone:", page.told.dropped || "yes");
  page.disconnect();
})().catch((e) => { console.log("failed:", e.message); process.exit(1); });
