// SPDX-License-Identifier: Apache-2.0

"use strict";

// The page has no state of its own but the outbox: what it shows is what the
// server has sent, by key, so that nothing is shown twice however often the
// connection breaks.

const $ = (id) => document.getElementById(id);
const rows = new Map(); // key -> <li>, of the items that are shown
const outbox = new Map(); // key -> {text, row, state, first}, typed here and not in the list yet; see send
const room = 1000; // for rows that stream in
let most = room; // rows that are shown
let total = 0;
let oldest = Infinity; // place of the last item that is shown
let older = false; // the server has items before it

// Beside this page, wherever a proxy has put that. A WebSocket first: one that polls needs a proxy that leads each of its requests
// to the same process.
const socket = io({
  path: new URL("socket.io/", document.baseURI).pathname, transports: ["websocket", "polling"], tryAllTransports: true,
});

// The connection.

function state(name, text) {
  $("state").dataset.state = name;
  if ($("state").textContent !== text) $("state").textContent = text;
}

socket.on("connect", () => {
  state("connected", "Connected");
  for (const key of outbox.keys()) send(key);
});
socket.on("disconnect", (reason) => {
  state("waiting", "Reconnecting…");
  // The client comes back by itself, but not when a server has shown it out.
  if (reason === "io server disconnect") setTimeout(() => socket.connect(), 1000);
});
socket.on("connect_error", () => {
  state("waiting", "Reconnecting…");
  if (!socket.active) setTimeout(() => socket.connect(), 1000);
});
socket.on("stopping", () => state("waiting", "The server is stopping…"));

// The list.

socket.on("items", (page) => {
  $("list").replaceChildren();
  rows.clear();
  oldest = Infinity;
  total = page.total;
  most = room;
  append(page);
  // The queue has these. They are in the list, or were while the page was away;
  // if not, they come as item_added.
  for (const [key, add] of outbox) if (add.state === "queued") settled(key);
  summary();
});

socket.on("older_items", (page) => {
  if (page.before !== oldest) return; // asked for twice, or of a list that has changed since
  append(page);
  most = rows.size + room;
  summary();
});

socket.on("item_added", (item) => {
  if (rows.has(item.key)) return;
  total++;
  const row = rowOf(item);
  row.classList.add("new");
  $("list").prepend(row);
  rows.set(item.key, row);
  settled(item.key);
  oldest = Math.min(oldest, item.seq);
  trim();
  say(`Added: ${item.text}`);
  summary();
});

socket.on("item_removed", ({ key }) => {
  total--;
  drop(key);
  summary();
});

function drop(key) {
  const row = rows.get(key);
  if (!row) return;
  keepFocus(row);
  row.remove();
  rows.delete(key);
  say(`Removed: ${row.firstChild.textContent}`);
}

function append(page) {
  const part = document.createDocumentFragment();
  for (const item of page.items) {
    oldest = Math.min(oldest, item.seq);
    if (rows.has(item.key)) continue;
    const row = rowOf(item);
    rows.set(item.key, row);
    part.append(row);
    settled(item.key);
  }
  $("list").append(part);
  older = page.older;
}

function rowOf(item) {
  const row = document.createElement("li");
  row.dataset.key = item.key;
  row.dataset.seq = item.seq;
  const text = document.createElement("span");
  text.dir = "auto";
  text.textContent = item.text;
  const button = buttonOf("Remove", `Remove ${item.text}`, () => remove(item.key, button));
  row.append(text, button);
  return row;
}

function buttonOf(name, label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  return button;
}

// trim bounds what the page holds while items stream in. What was asked for stays
// until that many have come since.
function trim() {
  while (rows.size > most) {
    const last = $("list").lastElementChild;
    keepFocus(last);
    rows.delete(last.dataset.key);
    last.remove();
    oldest = Number($("list").lastElementChild.dataset.seq);
    older = true;
  }
}

function summary() {
  $("total").textContent = `(${total})`;
  $("empty").hidden = total > 0 || outbox.size > 0;
  $("older").hidden = !older;
}

$("older").addEventListener("click", () => {
  if (!socket.connected) return problem("Not connected. Try again when the page is.");
  problem("");
  most = rows.size + room; // the last row is to be the same when they come, as older_items
  socket.timeout(10000).emit("items", { before: oldest }, (err, answer) => {
    if (err || answer?.error) problem("The server did not answer. Try again.");
  });
});

// Adding. The key is the page's, so that an add whose answer was lost is sent
// again and is still one item.

$("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  problem("");
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
  const row = document.createElement("li");
  const span = document.createElement("span");
  span.dir = "auto";
  span.textContent = text;
  row.append(span);
  outbox.set(key, { text, row });
  $("outbox").prepend(row);
  $("text").value = "";
  begin(key);
  summary();
});

// begin has an add sent, at once or when the page is connected.
function begin(key) {
  mark(key, "sending", "sending…");
  if (socket.connected) send(key);
}

// mark says how far an add has come: "sending", "queued" or "refused".
function mark(key, state, note, ...buttons) {
  const add = outbox.get(key);
  add.state = state;
  const small = document.createElement("small");
  small.textContent = note;
  if (state === "refused") small.setAttribute("role", "alert");
  add.row.className = state === "refused" ? state : "waiting";
  keepFocus(add.row); // its buttons go
  add.row.replaceChildren(add.row.firstChild, small, ...buttons);
}

function send(key) {
  const add = outbox.get(key);
  if (add?.state !== "sending") return;
  const connection = socket.id;
  add.first ??= connection;
  socket.timeout(15000).emit("add", { key, text: add.text }, (err, answer) => {
    if (!outbox.has(key)) return; // the list has it already
    if (!err && !answer.error) {
      // What was sent over an earlier connection, too, may have been in the list
      // while the page was away. If not, it comes as item_added.
      if (add.first === connection) mark(key, "queued", "queued");
      else settled(key);
      return summary();
    }
    if (add.state !== "sending") return; // that was about an earlier try
    if (err || answer.error.data?.retry) {
      if (socket.connected) setTimeout(() => socket.connected && send(key), 2000);
      return; // else it is sent when the connection is back
    }
    refused(key, answer.error.message);
  });
}

// refused keeps the text, and leaves it to the person what becomes of it.
function refused(key, why) {
  const { text } = outbox.get(key);
  const again = buttonOf("Try again", `Try again to add ${text}`, () => begin(key));
  const dismiss = buttonOf("Dismiss", `Dismiss ${text}`, () => {
    settled(key);
    summary();
  });
  mark(key, "refused", `Not added: ${why}`, again, dismiss);
}

// settled ends the page's part in an add.
function settled(key) {
  const add = outbox.get(key);
  if (!add) return;
  keepFocus(add.row);
  add.row.remove();
  outbox.delete(key);
}

function remove(key, button) {
  if (!socket.connected) return problem("Not connected. Try again when the page is.");
  if (button.getAttribute("aria-disabled") === "true") return;
  problem("");
  // Not disabled: that would take the focus from it, and from who works by keyboard.
  button.setAttribute("aria-disabled", "true");
  socket.timeout(15000).emit("item_removed", { key }, (err, answer) => {
    button.removeAttribute("aria-disabled");
    if (err || answer.error) problem("It could not be removed. Try again.");
    else if (!answer.removed) drop(key); // it was not there any more
  });
}

// keepFocus moves the focus of who works by keyboard to the next row.
function keepFocus(row) {
  if (!row.contains(document.activeElement)) return;
  const next = row.nextElementSibling ?? row.previousElementSibling;
  (next?.querySelector("button") ?? $("text")).focus();
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

// say tells screen readers, at most once a second: a stream of items would
// otherwise never end.
let told = 0;
function say(text) {
  const now = Date.now();
  if (now - told < 1000) return;
  told = now;
  $("news").textContent = text;
}

// The console is there for who is on the same machine.
fetch("console").then((answer) => answer.json()).then(({ url }) => {
  if (!url) return;
  $("console").href = url;
  $("console").hidden = false;
}).catch(() => {}); // without it the page is the same
