// SPDX-License-Identifier: Apache-2.0

import { h } from "./dom.js";
import { count, many, percent, some, span } from "./format.js";
import { spark } from "./charts.js";
import { account, facts, level, record, section } from "./parts.js";

// placeOf is the page of an item of a lint, at the target.
function placeOf(i) {
	if (i.page === "supervision" && i.supervisor) return `supervision#${encodeURIComponent(i.supervisor + (i.child ? "/" + i.child : ""))}`;
	if (i.page === "queues" && i.queue) return `queues#${encodeURIComponent(i.queue)}`;
	return i.page;
}

function lint(l) {
	return h("li", { key: l.id, class: "lint " + l.level, id: l.id },
		h("h3", level(l.level), " ", l.title),
		h("ul", l.items.map((i, at) => h("li", { key: at }, i.page ? h("a", { href: placeOf(i) }, i.text) : i.text)),
			l.n > l.items.length && h("li.more", `and ${count(l.n - l.items.length)} more`)),
		h("p.hint", l.hint));
}

export const overview = {
	title: "Overview",
	log: "all",
	show(v, { records }) {
		const t = v.totals, m = v.minute;
		const rate = (n) => count(n) + " /s";
		return [
			section("Verdict", v.lints.length ? h("ol.lints", v.lints.map(lint))
				: h("p.well", level("ok"), " All is well: no turn is blocked, nobody awaits each other, no queue is old, nothing was lost, and the account adds up.")),
			section("Last minute", h("div", { class: "sparks" },
				spark("Tasks ended", m.age_s, m.finished, rate), spark("Tasks failed", m.age_s, m.failed, rate),
				spark("Queued", m.age_s, m.queued, count), spark("Oldest in a queue", m.age_s, m.oldest_s, some),
				spark("Tasks", m.age_s, m.tasks, count), spark("Busy", m.age_s, m.busy, percent), spark("Restarts", m.age_s, m.restarts, count))),
			section("Now", facts([
				["Workers", h("a", { href: "workers" }, count(t.workers))], ["with work", count(t.working)], ["blocked", count(t.blocked), t.blocked > 0],
				["Tasks", h("a", { href: "waits" }, count(t.tasks))], ["Queued", count(t.queued)], ["Oldest", some(t.oldest_s), t.oldest_s > 1],
				["Busy", percent(t.busy)], ["Goroutines", count(t.goroutines)], ["Offloads", count(t.offloads)], ["wait for a place", count(t.offloads_waiting), t.offloads_waiting > 0],
				["Restarts", count(t.restarts)], ["Messages in flight", count(t.messages)], ["Sockets", count(t.sockets)],
			]), account(t.counts)),
			section("What happened last", records.length ? h("ol.records", records.slice(0, 25).map(record)) : h("p.none", "Nothing since the process began that is remembered.")),
		];
	},
};
