// SPDX-License-Identifier: Apache-2.0

// Where work comes in: queues and sockets.

import { account, bar, bytes, clock, facts, failure, h, list, many, rate, record, section, some, span, state, table, tidy, toWorker } from "./parts.js";
import { action } from "./act.js";
import { filter } from "./workers.js";

const messages = [
	["Message", "id"],
	["Key", "key", null, "a hash of it"],
	["State", "state", state],
	["Tries", "tries"],
	["Age", "age_s"],
	["Task", "task"],
	["Worker", "worker", (id) => toWorker(id)],
];

function consumer(c, max) {
	const s = c.stats;
	const ago = (at) => (at ? clock(at) : "never");
	return h("section", { key: c.name, id: c.name },
		h("h2", c.name),
		c.breaker_open_s > 0 && h("p.alarm", h("b", `▲ The breaker is open for ${span(c.breaker_open_s)}`), ": nothing is handled but a try now and then. ", c.breaker_cause),
		facts([
			["Lag", c.lag < 0 ? "not known" : c.lag], c.lag_error && ["why", c.lag_error], ["Rate", rate(c.rate)], ["In flight", [s.in_flight, ", ", s.running, " running of ", c.concurrency]],
			["Time in the queue", some(c.queue_time_s)], ["Last poll", ago(c.last_poll)], ["Last receive", ago(c.last_receive)], ["Failures", s.failures], ["Tries", ["at most ", c.max_tries]],
			["Workers", c.workers.map((w, i) => [i > 0 && ", ", toWorker(w)])],
		]),
		account(s, c.agrees, "received acked retried deferred dead_lettered! returned lost! in_flight"),
		h("h3", "In hand"), table(`Messages in hand of ${c.name}`, messages, c.in_flight, { key: (m) => m.id + " " + m.worker, max, more: Math.max(0, s.in_flight - c.in_flight.length), look: (m) => m.tries > 1, empty: "No message is in hand." }),
		h("h3", "Dead letters"), list(c.dead_letters.slice(0, 20), record, s.dead_lettered ? "None that is remembered: the log has each." : "None."),
		h("h3", "Last errors"), list(c.errors, (e, i) => failure(e, i, e.message ? `message ${e.message}, try ${e.try}` : "source"), "None."));
}

export const queues = {
	title: "Queues",
	target: () => decodeURIComponent(location.hash.slice(1)),
	show({ consumers: all }) {
		const max = Math.max(5, Math.floor(190 / all.length));
		return all.length ? all.slice(0, 38).map((c) => consumer(c, max)) : h("p.none", { key: "none" }, "There is no consumer.");
	},
};

const rooms = [["Namespace", "namespace"], ["Room", "name"], ["Sockets", "sockets"]];

const events = [["Event", "name"], ["Namespace", "namespace"], ["Handled", "n"], ["Failed", "failed", (n) => (n ? h("b", n) : "0")], ["Mean", "mean_s"]];

const slow = (s) => s.limit_bytes > 0 && s.behind_bytes > s.limit_bytes / 2;

const clients = (server) => [
	["Socket", "id"],
	["Namespace", "namespace"],
	["Address", "address"],
	["Transport", "transport"],
	["Behind", "behind_bytes", (n, s) => (!n ? "–" : s.limit_bytes ? bar(n / s.limit_bytes, bytes(n), slow(s)) : bytes(n)), "bytes that wait to be written"],
	["Held", "held", null, "events that wait for one to end"],
	["For", "for_s"],
	["Rooms", "rooms", (all) => all?.join(", ")],
	["", "session", (_, s) => action("disconnect-socket", { server, namespace: s.namespace, socket: s.id }, "Disconnect", `Disconnect ${s.id}?`)],
];

function server(s, tables, { q, go }) {
	const part = (n) => Math.max(2, Math.floor(n / tables)); // of the rows of a page
	const every = (of) => s.namespaces.flatMap((n) => (n[of] ?? []).map((r) => ({ ...r, namespace: n.name })));
	const show = (title, cols, all, max, o) => [h("h3", title), o.above, table(`${title} of ${s.name}`, cols, all, { key: (r) => r.namespace + (r.id ?? r.name), max: part(max), ...o })];
	const columns = clients(s.name);
	return h("section", { key: s.name, id: s.name }, h("h2", s.name),
		facts([["Sessions", s.sessions], ...Object.entries(s.transports ?? {}), ...Object.entries(s.counts).map(([k, n]) => [tidy(k), k.startsWith("bytes") ? bytes(n) : n]),
			...s.namespaces.map((n) => [n.name, many(n.sockets, "socket")])]),
		show("Slow clients", columns, s.slow, 15, { look: slow, empty: "Nobody is behind." }),
		show("Events", events, every("events"), 30, { look: (e) => e.failed > 0, empty: "No event has a handler." }),
		show("Rooms", rooms, every("rooms"), 30, { more: s.namespaces.reduce((sum, n) => sum + n.more_rooms, 0), empty: "No room has a socket." }),
		show("Clients", columns, s.sockets, 110, { above: filter(q, go, "Id, address or room "), more: s.more_sockets, hint: "Filter them.", empty: "Nobody is connected." }));
}

export const sockets = {
	title: "Sockets",
	params: ["q"],
	target: (q) => q.get("q"),
	show: ({ servers: all }, tools) => all.length ? all.slice(0, 8).map((s) => server(s, all.length, tools)) : h("p.none", { key: "none" }, "There is no Socket.IO server."),
};
