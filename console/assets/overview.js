// SPDX-License-Identifier: Apache-2.0

import { spark } from "./charts.js";
import { count, counts, facts, h, level, list, percent, rate, record, section, some } from "./parts.js";

const lint = (l) => h("li.lint", { key: l.id, class: l.level, id: l.id },
	h("h3", level(l.level), " ", l.title),
	h("ul", l.items.map((i, at) => h("li", { key: at }, i.page ? h("a", { href: i.page }, i.text) : i.text)),
		l.n > l.items.length && h("li.more", "and ", l.n - l.items.length, " more")),
	h("p.hint", l.hint));

export const overview = {
	title: "Overview",
	log: "all",
	show(v, { records }) {
		const t = v.totals, m = v.minute;
		return [
			section("Verdict", v.lints.length ? h("ol", v.lints.map(lint))
				: h("p.well", level("ok"), " All is well: no turn is blocked, no queue is old, nothing was lost, and the account adds up.")),
			section("Last minute", h("div.sparks", [
				["Tasks ended", m.finished, rate], ["Tasks failed", m.failed, rate], ["Queued", m.queued, count], ["Oldest in a queue", m.oldest_s, some],
				["Tasks", m.tasks, count], ["Busy", m.busy, percent], ["Restarts", m.restarts, count],
			].map(([name, values, text]) => spark(name, m.age_s, values, text)))),
			section("Now", facts([
				["Workers", h("a", { href: "workers" }, t.workers)], ["with work", t.working], ["blocked", t.blocked, t.blocked > 0],
				["Tasks", h("a", { href: "waits" }, t.tasks)], ["Goroutines", t.goroutines], ["Offloads", t.offloads],
				["wait for a place", t.offloads_waiting, t.offloads_waiting > 0], ["Messages in flight", t.messages], ["Sockets", t.sockets],
			]), counts(t.counts)),
			section("What happened last", list(records.slice(0, 25), record, "Nothing since the process began that is remembered.")),
		];
	},
};
