// SPDX-License-Identifier: Apache-2.0

import { h } from "./dom.js";
import { clock, count, many, percent, some, span, tidy } from "./format.js";
import { histogram } from "./charts.js";
import { account, bar, facts, maxRows, section, stack, state, table, toWorker } from "./parts.js";
import { action } from "./act.js";

const columns = [
	{ head: "Worker", sort: "name", up: true, cell: (r) => toWorker(r.worker) },
	{ head: "State", cell: (r) => state(r.state) },
	{ head: "Blocked", sort: "blocked", num: true, title: "for how long a turn has held it up", cell: (r) => (r.blocked_s ? h("b.look", "✖ " + span(r.blocked_s)) : "–") },
	{ head: "Oldest", sort: "oldest", num: true, title: "the longest wait in its queue", cell: (r) => some(r.oldest_s) },
	{ head: "Queued", sort: "queued", num: true, cell: (r) => count(r.queued) },
	{ head: "Tasks", sort: "tasks", num: true, cell: (r) => count(r.tasks) },
	{ head: "Busy", sort: "busy", num: true, title: "share of one processor", cell: (r) => bar(r.busy, percent(r.busy), false) },
	{ head: "Rate", sort: "rate", num: true, title: "tasks a second that ended", cell: (r) => count(r.rate) },
	{ head: "Kind", sort: "kind", up: true, cell: (r) => r.kind },
	{ head: "Wait 99 %", sort: "wait_p99", num: true, title: "in the queue; of its kind", cell: (r) => some(r.wait_p99_s) },
	{ head: "Turn 99 %", sort: "turn_p99", num: true, title: "of its kind", cell: (r) => some(r.turn_p99_s) },
	{ head: "Finished", sort: "finished", num: true, cell: (r) => count(r.finished) },
	{ head: "Failed", sort: "failed", num: true, cell: (r) => count(r.failed) },
	{ head: "Refused", sort: "refused", num: true, cell: (r) => count(r.refused) },
	{ head: "Offloads", sort: "offloads", num: true, title: "running + waiting for a place", cell: (r) => (r.offloads_waiting ? `${count(r.offloads)} + ${count(r.offloads_waiting)}` : count(r.offloads)) },
	{ head: "Inc.", sort: "incarnation", num: true, title: "incarnation", cell: (r) => count(r.incarnation) },
];

const kinds = [
	{ head: "Kind", cell: (k) => h("a", { href: "workers?q=" + encodeURIComponent(k.kind) }, k.kind) },
	{ head: "Workers", num: true, cell: (k) => count(k.workers) },
	{ head: "Blocked", num: true, cell: (k) => (k.blocked ? h("b.look", "✖ " + count(k.blocked)) : "–") },
	{ head: "Oldest", num: true, cell: (k) => some(k.oldest_s) },
	{ head: "Queued", num: true, cell: (k) => count(k.queued) },
	{ head: "Busy", num: true, title: "processors", cell: (k) => k.busy.toFixed(2) },
	{ head: "Rate", num: true, cell: (k) => count(k.rate) },
	{ head: "Wait 50 %", num: true, cell: (k) => some(k.wait_p50_s) },
	{ head: "99 %", num: true, cell: (k) => some(k.wait_p99_s) },
	{ head: "Turn 50 %", num: true, cell: (k) => some(k.turn_p50_s) },
	{ head: "99 %", num: true, cell: (k) => some(k.turn_p99_s) },
	{ head: "Finished", num: true, cell: (k) => count(k.counts.finished) },
	{ head: "Failed", num: true, cell: (k) => count(k.counts.failed) },
	{ head: "Dead letters", num: true, cell: (k) => count(k.counts.dead_lettered) },
	{ head: "Restarts", num: true, cell: (k) => count(k.restarts) },
	{ head: "Adds up", cell: (k) => (k.counts.agrees ? "yes" : h("b.look", "✖ no")) },
];

const filter = (q, go, what) => h("form", { key: "filter", class: "filter", role: "search", onsubmit: (e) => e.preventDefault() },
	h("label", { for: "filter" }, what), h("input", { id: "filter", type: "search", value: q.get("q") ?? "", autocomplete: "off", spellcheck: "false", onchange: (e) => go({ q: e.target.value }), oninput: later((e) => go({ q: e.target.value })) }));

let timer;
function later(f) {
	return (e) => {
		clearTimeout(timer);
		timer = setTimeout(f, 300, e);
	};
}

export { filter };

export const workers = {
	title: "Workers",
	params: ["sort", "q"],
	show(v, { q, go }) {
		const byKind = q.get("by") === "kind";
		const tab = (text, by, n) => h("a", { href: "workers?" + new URLSearchParams([...q].filter(([k]) => k !== "by").concat(by ? [["by", by]] : [])), "aria-current": byKind === Boolean(by) ? "true" : null }, text, h("small", ` ${count(n)}`));
		const fits = v.kinds.filter((k) => !v.q || k.kind.includes(v.q));
		return [
			h("div.tools", { key: "tools" }, h("div.tabs", tab("Workers", "", v.matched), tab("Kinds", "kind", fits.length)), filter(q, go, "Name or kind ")),
			byKind ? table("Kinds of workers", kinds, fits, { key: (k) => k.kind, look: (k) => k.blocked || !k.counts.agrees, empty: "No kind has that in its name." })
				: table("Workers", columns, v.rows, {
					key: (r) => r.worker, sort: v.sort, onsort: (s) => go({ sort: s }), look: (r) => r.blocked_s > 0, more: v.matched - v.rows.length,
					hint: "Filter them, or sort by another column.", empty: v.total ? "No worker has that in its name or kind." : "There is no worker.",
				}),
		];
	},
};

export const taskColumns = [
	{ head: "Task", cell: (t) => [t.name, t.told_to_end_s > 0 && h("b.look", ` ▲ told to end ${span(t.told_to_end_s)} ago`)] },
	{ head: "State", cell: (t) => state(t.state) },
	{ head: "Awaits", cell: (t) => t.awaits ?? "–" },
	{ head: "of", cell: (t) => (t.on ? toWorker(t.on) : "–") },
	{ head: "Age", num: true, cell: (t) => span(t.age_s) },
	{ head: "Budget left", num: true, cell: (t) => (t.budget_s ? (t.budget_s < 0 ? h("b.look", "▲ " + span(t.budget_s)) : span(t.budget_s)) : "no end") },
	{ head: "Created by", cell: (t) => [t.creator, t.creator_worker && [" of ", toWorker(t.creator_worker)]] },
	{ head: "", cell: (t) => (t.ref.id ? action("cancel-task", { worker: t.ref.worker, incarnation: t.ref.incarnation, task: t.ref.id }, { label: "Cancel", ask: `Cancel ${t.name}?`, yes: "Cancel the task", cause: true }) : null) },
];

export const taskKey = (t) => `${t.ref.incarnation} ${t.ref.id} ${t.name}`;

const failure = (f, i) => h("li.failure", { key: f.at + i },
	h("time", { datetime: f.at }, clock(f.at)), " ", h("b", f.error), ` ${f.kind ?? ""}`, f.task && ` in ${f.task}`, f.worker && [" of ", toWorker(f.worker)], stack(f.line, f.stack, "stack"));

export const worker = {
	title: "Worker",
	params: ["id", "after"],
	target: (q) => q.get("id"),
	heading: (q) => q.get("id"),
	show(v, { q, go }) {
		const r = v.row, after = q.get("after");
		return [
			v.blocked && h("div.alarm", { key: "blocked" },
				h("p", h("b", `✖ Blocked for ${span(v.blocked.for_s)}`), ` in a turn of ${v.blocked.task}`, v.blocked.line ? [" at ", h("code", v.blocked.line)] : "", ". All its other tasks wait."),
				v.blocked.stack && stack("The whole stack", v.blocked.stack, "stack")),
			facts([
				["Kind", r.kind && h("a", { href: "workers?q=" + encodeURIComponent(r.kind) }, r.kind)], ["State", state(r.state)], ["Incarnation", count(r.incarnation)],
				v.told_to_end_s > 0 && ["Told to end", span(v.told_to_end_s) + " ago", true], ["Queued", count(r.queued)], ["Oldest", some(r.oldest_s), r.oldest_s > 1], ["Tasks", count(r.tasks)],
				["Busy", percent(r.busy)], ["Rate", count(r.rate) + " /s"], ["Offloads", count(r.offloads)], r.offloads_waiting > 0 && ["wait for a place", count(r.offloads_waiting), true],
				["Timers", count(v.timers)], ["Blocked turns so far", count(v.blocked_turns)], v.exclusive && ["Exclusive", v.exclusive],
				v.delayed > 0 && ["Delayed", count(v.delayed) + (v.next_delayed ? ", next at " + clock(v.next_delayed) : "")],
			]),
			section("Account", account(v.counts)),
			v.busy_tasks.length > 0 && section("What its turns are of", h("ul.shares", v.busy_tasks.slice(0, 10).map((s) => h("li", { key: s.task }, bar(s.busy, percent(s.busy)), " ", s.task)))),
			section("Tasks", table("Tasks", taskColumns, v.tasks, { key: taskKey, look: (t) => t.told_to_end_s > 0, more: after ? 0 : v.more_tasks, empty: "No task has started and not ended." }),
				h("p.pager", after && h("button", { type: "button", class: "act", onclick: () => go({ after: "" }) }, "The oldest"), v.next > 0 && h("button", { type: "button", class: "act", onclick: () => go({ after: v.next }) }, `The next ${maxRows}`))),
			section(`Times of kind ${r.kind}`, h("div.pair", histogram("Wait in the queue", v.wait), histogram("Length of a turn", v.turn))),
			section("Last failures of its kind", v.failures.length ? h("ol.failures", v.failures.map(failure)) : h("p.none", "None that is remembered.")),
		];
	},
};
