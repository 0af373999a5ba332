// SPDX-License-Identifier: Apache-2.0

// A scripted session of reference clients; it prints what they see.
//   node scenario.cjs PORT client3|client4 polling|websocket|upgrade|recovery
const [port, version, mode] = process.argv.slice(2);
const { io } = require(version);

const transports = { polling: ["polling"], websocket: ["websocket"], recovery: ["websocket"] }[mode] ?? ["polling", "websocket"];
const base = { transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 50, randomizationFactor: 0 };
const url = `http://127.0.0.1:${port}`;

// What one client sees is in order; between clients there is none, so the
// transcript is one client after the other.
const lines = new Map();
const log = (name, ...args) => lines.set(name, (lines.get(name) ?? "") + JSON.stringify([name, ...args]) + "\n");
const print = () => process.stdout.write([...lines.keys()].sort().map((name) => lines.get(name)).join(""));
const timer = setTimeout(() => {
  print();
  console.log("timed out");
  process.exit(1);
}, 45000);

const once = (s, event) => new Promise((resolve) => s.once(event, (...args) => resolve(args)));
const ask = (s, event, ...args) => new Promise((resolve) => s.emit(event, ...args, (...got) => resolve(got)));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// flush returns when all that was sent to the client before has come.
const flush = (...sockets) => Promise.all(sockets.map((s) => ask(s, "echo")));

function open(name, nsp = "/", options = {}) {
  const s = io(url + nsp, { ...base, auth: { name }, ...options });
  // Without the offset, which is the last argument if there is recovery.
  s.on("welcome", (...args) => log(name, "welcome", ...args.slice(0, 2)));
  s.on("said", (...args) => log(name, "said", ...args.slice(0, 2).map((v) => (v === s.id ? "its id" : v))));
  s.on("back", (...args) => log(name, "back", ...args));
  s.on("relayed", (...args) => log(name, "relayed", ...args));
  s.on("question", (q, ack) => ack(q + "!", 2));
  s.on("disconnect", (reason) => log(name, "disconnect", reason));
  s.on("connect_error", (err) => log(name, "refused", err.message, err.data ?? null));
  return s;
}

async function opened(name, nsp, options) {
  const s = open(name, nsp, options);
  await once(s, "welcome");
  if (mode === "upgrade" && s.io.engine.transport.name === "polling") {
    await once(s.io.engine, "upgrade");
  }
  log(name, "transport", s.io.engine.transport.name, typeof s.id, s.id.length);
  return s;
}

async function talk() {
  const a = await opened("a");
  const b = await opened("b");
  const c = await opened("c");
  log("rooms", await ask(a, "join", "red"), await ask(b, "join", "red"), await ask(b, "join", "blue"), await ask(b, "join", "blue"));
  for (const event of [["all", "1"], ["room", "red", "2"], ["room", "none", "3"], ["others", "4"], ["except", "blue", "5"], ["others in", "red", "6"]]) {
    a.emit(...event);
    await flush(a);
    await flush(b, c);
  }
  log("left", await ask(b, "leave", "red"));
  a.emit("room", "red", "7");
  a.emit("room", b.id, "to its id");
  await flush(a);
  await flush(b);

  log("echo", await ask(a, "echo"), await ask(a, "echo", 1, "zwei", { drei: [true, null, 4.5, "é😀"] }));
  log("binary", await ask(a, "echo", Buffer.from([1, 2, 3]), { in: [Buffer.from("x")], n: 1 }));
  a.emit("back", "text", Buffer.from([0, 255]), { deep: { er: Buffer.alloc(0) } });
  a.emit("back", "long", "x".repeat(20000));
  await flush(a);
  // Data that looks like what binary data is on its way.
  for (const v of [{ _socketio_binary: "AAAA" }, { deep: [{ _socketio_binary: "!" }] }, { _placeholder: true, num: 99 }, { _placeholder: false, num: 0 }]) {
    a.emit("relay", v);
    if (!v._placeholder) a.emit("relay as it is", v);
    await flush(a);
    await flush(b, c);
  }
  a.emit("relay as it is", "lone \ud800 surrogate");
  await flush(a);
  await flush(b, c);
  log("asked", await ask(a, "ask", "what"));
  const p = await opened("protocols", "/", { protocols: ["first", "second"] });
  log("protocols", p.io.engine.transport.ws?.protocol ?? null);
  p.disconnect();
  const many = [];
  for (let i = 0; i < 50; i++) many.push(ask(a, "echo", i));
  log("many", (await Promise.all(many)).flat());
  return [a, b, c];
}

async function namespaces(a) {
  const admin = await opened("admin", "/admin");
  admin.emit("all", "in admin only");
  await flush(admin, a);
  const both = io(url + "/admin", { ...base, multiplex: true, forceNew: false, auth: { name: "second" } });
  await once(both, "welcome");
  const main = both.io.socket("/", { auth: { name: "same connection" } });
  log("multiplexed", await once(main, "welcome"));
  both.disconnect();
  log("main goes on", await ask(main, "echo", 1));
  main.io.engine.close();
  main.io._close?.();
  await once(open("nobody", "/none"), "connect_error");
  for (const token of ["bad", "plain"]) {
    const s = open(token, "/", { auth: { token } });
    await once(s, "connect_error");
    s.disconnect();
  }
  return admin;
}

// reasons returns what the server says of sockets that have ended since it was
// last asked, as soon as there are any.
async function reasons(s) {
  let list = [];
  for (let i = 0; i < 200 && list.length === 0; i++) {
    await sleep(10);
    [list] = await ask(s, "reasons");
  }
  return list;
}

// ends has sockets end in every way, and asks the server for its reasons.
async function ends(a) {
  const end = async (name, f) => {
    await ask(a, "reasons");
    const s = await opened(name, "/", { reconnection: false });
    for (const room of ["red", "blue"]) await ask(s, "join", room);
    const over = once(s, "disconnect");
    await sleep(50); // so that a poll waits
    f(s);
    await over;
    log(name, "server says", ...(await reasons(a)));
    s.disconnect();
  };
  await end("leaves", (s) => s.disconnect());
  await end("closes", async (s) => {
    await once(s.io.engine, "pong"); // it has sent one: if a ping met the close, the reference told of an error
    s.io.engine.close();
  });
  await end("is kicked", (s) => s.emit("kick"));
  await end("is closed", (s) => s.emit("close"));
  await end("sends no packet", (s) => s.io.engine.write("9"));
  await end("sends a reserved event", (s) => s.io.engine.write('2["disconnect"]'));
  await end("sends no engine packet", (s) => {
    const t = s.io.engine.transport;
    t.ws ? t.ws.send("x") : t.doWrite("x", () => {});
  });
  await end("pings", ({ io: { engine } }) => (engine.sendPacket ?? engine._sendPacket).call(engine, "ping"));
  if (version === "client4") {
    await end("is silent", (s) => {
      const send = s.io.engine.transport.send;
      s.io.engine.transport.send = function (packets) {
        const rest = packets.filter((p) => p.type !== "pong");
        rest.length ? send.call(this, rest) : setTimeout(() => this.emitReserved("drain"), 0);
        this.writable = true;
      };
    });
  }
}

// recovery cuts a client off and has it back.
async function recovery() {
  const other = await opened("other");
  const a = await opened("a");
  await ask(a, "join", "red");
  other.emit("all", "before");
  await flush(other); // first: the two connections have no order
  await flush(a);
  const id = a.id;
  a.io.reconnection(false); // not before it has missed something, and the server knows that it has gone
  a.io.engine.close();
  await reasons(other); // else it may get the first of these
  other.emit("room", "red", "missed 1");
  other.emit("others", "missed 2");
  other.emit("room", "blue", "not for it");
  await flush(other);
  a.connect();
  await once(a, "welcome");
  log("recovered", a.recovered ?? null, a.id === id);
  other.emit("room", "red", "after");
  await flush(other);
  await flush(a);
  const b = await opened("b");
  const left = b.id;
  other.emit("all", "before b leaves");
  await flush(other);
  await flush(a, b);
  b.disconnect();
  await sleep(100); // until its connection is closed
  b.connect();
  await once(b, "welcome");
  log("recovered after leaving", b.recovered ?? null, b.id === left);
  return [a, b, other];
}

async function main() {
  let left;
  if (mode === "recovery") {
    left = await recovery();
  } else {
    left = await talk();
    left.push(await namespaces(left[0]));
    await ends(left[0]);
  }
  for (const s of left) s.disconnect();
  clearTimeout(timer);
  print();
  setTimeout(() => process.exit(0), 200); // until the closes are sent
}

main();
