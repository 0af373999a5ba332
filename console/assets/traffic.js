// SPDX-License-Identifier: Apache-2.0

// Where work comes in: queues and sockets.

import { h } from "./dom.js";
import { bytes, clock, count, many, some, span } from "./format.js";
import { bar, facts, level, record, section, stack, state, table, toWorker } from "./parts.js";
import { action } from "./act.js";
import { filter } from "./workers.js";

const messages = [
	{ head: "Message", cell: (m) => m.id },
	{ head: "Key", title: "a hash of it", cell: (m) => m.key ?? "–" },
	{ head: "State", cell: (m) => state(m.state, m.state === "running" || m.state === "waiting") },
	{ head: "Tries", num: true, cell: (m) => count(m.tries) },
	{ head: "Age", num: true, cell: (m) => span(m.age_s) },
	{ head: "Task", cell: (m) => m.task },
	{ head: "Worker", cell: (m) => toWorker(m.worker) },
];

function consumer(c, max) {
	const s = c.stats;
	const ago = (at) => (at ? clock(at) : "never");
	return h("section", { key: c.name, id: c.name },
		h("h2", c.name),
		c.breaker_open_s > 0 && h("p.alarm", h("b", `▲ The breaker is open for ${span(c.breaker_open_s)}`), `: nothing is handled but a try now and then. ${c.breaker_cause ?? ""}`),
		facts([
			["Lag", c.lag < 0 ? "not known" : count(c.lag), false], c.lag_error && ["why", c.lag_error], ["Rate", count(c.rate) + " /s"], ["In flight", `${count(s.in_flight)}, ${count(s.running)} running of ${count(c.concurrency)}`],
			["Time in the queue", some(c.queue_time_s)], ["Last poll", ago(c.last_poll)], ["Last receive", ago(c.last_receive)], ["Failures", count(s.failures)], ["Tries", `at most ${count(c.max_tries)}`],
			["Workers", c.workers.map((w, i) => [i > 0 && ", ", toWorker(w)])],
		]),
		h("div.account", h("div.sum", [[s.received, "received"], [s.acked, "acked"], [s.retried, "retried"], [s.deferred, "deferred"], [s.dead_lettered, "dead-lettered", true], [s.returned, "returned"], [s.lost, "lost", true], [s.in_flight, "in flight"]]
			.map(([n, name, look], i) => [i > 0 && h("span.sign", i > 1 ? "+" : "="), h("span", { class: look && n ? "term look" : "term" }, h("b", count(n)), h("span", name))])),
		c.agrees ? h("p.fine", level("ok"), " It adds up.") : h("p.look", level("error"), " It does not add up.")),
		h("h3", "In hand"), table(`Messages in hand of ${c.name}`, messages, c.in_flight, { key: (m) => m.id + " " + m.worker, max, more: Math.max(0, s.in_flight - c.in_flight.length), look: (m) => m.tries > 1, empty: "No message is in hand." }),
		h("h3", "Dead letters"), c.dead_letters.length ? h("ol.records", c.dead_letters.slice(0, 20).map(record)) : h("p.none", s.dead_lettered ? "None that is remembered: the log has each." : "None."),
		h("h3", "Last errors"), c.errors.length ? h("ol.failures", c.errors.map((e, i) => h("li.failure", { key: e.at + i }, h("time", { datetime: e.at }, clock(e.at)), " ", h("b", e.error), e.message ? ` message ${e.message}, try ${e.try}` : " of the source", stack(e.line, e.stack, "stack")))) : h("p.none", "None."));
}

export const queues = {
	title: "Queues",
	target: () => decodeURIComponent(location.hash.slice(1)),
	show(v) {
		if (!v.consumers.length) return h("p.none", { key: "none" }, "There is no consumer.");
		const max = Math.max(5, Math.floor(190 / v.consumers.length));
		return v.consumers.slice(0, 38).map((c) => consumer(c, max));
	},
};

const rooms = [
	{ head: "Namespace", cell: (r) => r.namespace },
	{ head: "Room", cell: (r) => r.name },
	{ head: "Sockets", num: true, cell: (r) => count(r.sockets) },
];
const events = [
	{ head: "Event", cell: (e) => e.name },
	{ head: "Namespace", cell: (e) => e.namespace },
	{ head: "Handled", num: true, cell: (e) => count(e.n) },
	{ head: "Failed", num: true, cell: (e) => (e.failed ? h("b", count(e.failed)) : "0") },
	{ head: "Mean", num: true, cell: (e) => some(e.mean_s) },
];

const clients = (server) => [
	{ head: "Socket", cell: (s) => s.id },
	{ head: "Namespace", cell: (s) => s.namespace },
	{ head: "Address", cell: (s) => s.address ?? "–" },
	{ head: "Transport", cell: (s) => s.transport ?? "–" },
	{ head: "Behind", num: true, title: "bytes that wait to be written", cell: (s) => (s.behind_bytes ? (s.limit_bytes ? bar(s.behind_bytes / s.limit_bytes, bytes(s.behind_bytes), s.behind_bytes > s.limit_bytes / 2) : bytes(s.behind_bytes)) : "–") },
	{ head: "Held", num: true, title: "events that wait for one to end", cell: (s) => count(s.held) },
	{ head: "For", num: true, cell: (s) => span(s.for_s) },
	{ head: "Rooms", cell: (s) => (s.rooms ?? []).join(", ") },
	{ head: "", cell: (s) => action("disconnect-socket", { server: server.name, namespace: s.namespace, socket: s.id }, { label: "Disconnect", ask: `Disconnect ${s.id}?`, yes: "Disconnect it" }) },
];

const maxSlow = 15, maxRooms = 30, maxEvents = 30;

export const sockets = {
	title: "Sockets",
	params: ["q"],
	target: (q) => q.get("q"),
	show(v, { q, go }) {
		if (!v.servers.length) return h("p.none", { key: "none" }, "There is no Socket.IO server.");
		const left = Math.floor(195 / v.servers.length);
		return v.servers.slice(0, 8).map((s) => {
			const part = (n) => Math.max(2, Math.floor(n * left / 195));
			return h("section", { key: s.name, id: s.name }, h("h2", s.name),
				facts([["Sessions", count(s.sessions)], ...Object.entries(s.transports ?? {}).map(([k, n]) => [k, count(n)]), ...Object.entries(s.counts).map(([k, n]) => [k.replaceAll("_", " "), k.startsWith("bytes") ? bytes(n) : count(n)]),
					...s.namespaces.map((n) => [n.name, many(n.sockets, "socket")])]),
				h("h3", "Slow clients"), table(`Slow clients of ${s.name}`, clients(s), s.slow, { key: (c) => c.namespace + c.id, max: part(maxSlow), look: (c) => c.limit_bytes && c.behind_bytes > c.limit_bytes / 2, empty: "Nobody is behind." }),
				h("h3", "Events"), table(`Events of ${s.name}`, events, s.namespaces.flatMap((n) => (n.events ?? []).map((e) => ({ ...e, namespace: n.name }))), { key: (e) => e.namespace + e.name, max: part(maxEvents), look: (e) => e.failed > 0, empty: "No event has a handler." }),
				h("h3", "Rooms"), table(`Rooms of ${s.name}`, rooms, s.namespaces.flatMap((n) => n.rooms.map((r) => ({ ...r, namespace: n.name }))), { key: (r) => r.namespace + r.name, max: part(maxRooms), more: s.namespaces.reduce((sum, n) => sum + n.more_rooms, 0), empty: "No room has a socket." }),
				h("h3", "Clients"), filter(q, go, "Id, address or room "), table(`Clients of ${s.name}`, clients(s), s.sockets, { key: (c) => c.namespace + c.id, max: part(110), more: s.more_sockets, hint: "Filter them.", empty: "Nobody is connected." }));
		});
	},
};
