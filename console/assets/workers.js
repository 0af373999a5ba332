// SPDX-License-Identifier: Apache-2.0

import { histogram } from "./charts.js";
import { bad, bar, button, clock, counts, facts, failure, h, list, maxRows, percent, rate, section, some, span, stack, state, table, toKind, toWorker } from "./parts.js";
import { cancelTask } from "./act.js";

const busy = (share) => bar(share, percent(share));

const columns = [
	["Worker", "worker", (id) => toWorker(id)],
	["State", "state", state],
	["Blocked", "blocked_s", (s) => (s ? bad(span(s)) : "–"), "for how long a turn has held it up"],
	["Oldest", "oldest_s", null, "the longest wait in its queue"],
	["Queued", "queued"],
	["Tasks", "tasks"],
	["Busy", "busy", busy, "share of one processor"],
	["Rate", "rate", null, "tasks a second that ended"],
	["Kind", "kind"],
	["Wait 99 %", "wait_p99_s", null, "in the queue; of its kind"],
	["Turn 99 %", "turn_p99_s", null, "of its kind"],
	["Finished", "finished"],
	["Failed", "failed"],
	["Refused", "refused"],
	["Offloads", "offloads", (n, r) => [n, r.offloads_waiting > 0 && [" + ", r.offloads_waiting]], "running + waiting for a place"],
	["Inc.", "incarnation", null, "incarnation"],
];

const kinds = [
	["Kind", "kind", toKind],
	["Workers", "workers"],
	["Blocked", "blocked", (n) => (n ? bad(n) : "–")],
	["Oldest", "oldest_s"],
	["Queued", "queued"],
	["Busy", "busy", null, "processors"],
	["Rate", "rate"],
	["Wait 50 %", "wait_p50_s"],
	["99 %", "wait_p99_s"],
	["Turn 50 %", "turn_p50_s"],
	["99 %", "turn_p99_s"],
	["Finished", "finished"],
	["Failed", "failed"],
	["Dead letters", "dead_lettered"],
	["Restarts", "restarts"],
	["Adds up", "agrees", (is) => (is ? "yes" : bad("no"))],
];

let timer;

// filter is a field for what rows are to have in them. It asks 0.3 s after the last key.
export function filter(q, go, what) {
	const find = (e) => go({ q: e.target.value });
	const later = (e) => {
		clearTimeout(timer);
		timer = setTimeout(find, 300, e);
	};
	return h("form.filter", { key: "filter", role: "search", onsubmit: (e) => e.preventDefault() },
		h("label", { for: "filter" }, what), h("input", { id: "filter", type: "search", value: q.get("q"), autocomplete: "off", spellcheck: "false", onchange: find, oninput: later }));
}

export const workers = {
	title: "Workers",
	params: ["sort", "q"],
	show(v, { q, go }) {
		const byKind = q.get("by") === "kind";
		const fits = v.kinds.filter((k) => !v.q || k.kind.includes(v.q)).map((k) => ({ ...k, ...k.counts }));
		const tab = (name, by, n) => h("a", { href: "workers?" + new URLSearchParams({ by, q: q.get("q") ?? "" }), "aria-current": byKind === Boolean(by) && "true" }, name, " ", h("small", n));
		return [
			h("div.tools", { key: "tools" }, h("div.tabs", tab("Workers", "", v.matched), tab("Kinds", "kind", fits.length)), filter(q, go, "Name or kind ")),
			byKind ? table("Kinds of workers", kinds, fits, { key: (k) => k.kind, look: (k) => k.blocked || !k.agrees, empty: "No kind has that in its name." })
				: table("Workers", columns, v.rows, {
					key: (r) => r.worker, sort: v.sort, sorts: v.sorts, onsort: (sort) => go({ sort }), look: (r) => r.blocked_s > 0, more: v.matched - v.rows.length,
					hint: "Filter them, or sort by another column.", empty: v.total ? "No worker has that in its name or kind." : "There is no worker.",
				}),
		];
	},
};

const taskColumns = [
	["Task", "name", (name, t) => [name, t.told_to_end_s > 0 && h("b.look", ` ▲ told to end ${span(t.told_to_end_s)} ago`)]],
	["State", "state", state],
	["Awaits", "awaits"],
	["of", "on", (id) => toWorker(id, id ?? "–")],
	["Age", "age_s"],
	["Budget left", "budget_s", (s) => (s < 0 ? h("b.look", "▲ " + span(s)) : s ? span(s) : "no end")],
	["Created by", "creator", (name, t) => [name, t.creator_worker && [" of ", toWorker(t.creator_worker)]]],
	["", "ref", (ref, t) => cancelTask({ ...ref, task: t.name })],
];

// tasks is a table of those of a worker.
export const tasks = (name, all, o) => table(name, taskColumns, all,
	{ key: (t) => `${t.ref.incarnation} ${t.ref.id} ${t.name}`, look: (t) => t.told_to_end_s > 0, ...o });

export const worker = {
	title: "Worker",
	params: ["id", "after"],
	target: (q) => q.get("id"),
	heading: (q) => q.get("id"),
	show(v, { q, go }) {
		const r = v.row, after = q.get("after"), b = v.blocked;
		return [
			b && h("div.alarm", { key: "blocked" },
				h("p", bad(`Blocked for ${span(b.for_s)}`), ` in a turn of ${b.task}`, b.line && [" at ", h("code", b.line)], ". All its other tasks wait."),
				b.stack && stack("The whole stack", b.stack)),
			facts([
				["Kind", r.kind && toKind(r.kind)], ["State", state(r.state)], ["Incarnation", r.incarnation],
				v.told_to_end_s > 0 && ["Told to end", span(v.told_to_end_s) + " ago", true], ["Queued", r.queued], ["Oldest", some(r.oldest_s), r.oldest_s > 1], ["Tasks", r.tasks],
				["Busy", percent(r.busy)], ["Rate", rate(r.rate)], ["Offloads", r.offloads], r.offloads_waiting > 0 && ["wait for a place", r.offloads_waiting, true],
				["Timers", v.timers], ["Blocked turns so far", v.blocked_turns], v.exclusive && ["Exclusive", v.exclusive],
				v.delayed > 0 && ["Delayed", [v.delayed, v.next_delayed && ", next at " + clock(v.next_delayed)]],
			]),
			section("Account", counts(v.counts)),
			v.busy_tasks.length > 0 && section("What its turns are of", h("ul", v.busy_tasks.slice(0, 10).map((s) => h("li", { key: s.task }, busy(s.busy), " ", s.task)))),
			section("Tasks", tasks("Tasks", v.tasks, { more: after ? 0 : v.more_tasks, empty: "No task has started and not ended." }),
				h("p.pager", after && button("The oldest", () => go({ after: "" })), v.next > 0 && button(`The next ${maxRows}`, () => go({ after: v.next })))),
			section(`Times of kind ${r.kind}`, h("div.pair", histogram("Wait in the queue", v.wait), histogram("Length of a turn", v.turn))),
			section("Last failures of its kind", list(v.failures, (f, i) => failure(f, i, f.kind), "None that is remembered.")),
		];
	},
};
