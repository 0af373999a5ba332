// SPDX-License-Identifier: Apache-2.0

import { h } from "./dom.js";
import { count, many, span } from "./format.js";
import { bar, facts, state, table, toWorker } from "./parts.js";
import { taskColumns, taskKey } from "./workers.js";
import { endGrace, grace } from "./supervision.js";

// The rows of all tables together.
const maxTasks = 180;

function child(c, left) {
	const tasks = c.waits_for.slice(0, left);
	return h("li.draining", { key: c.path + c.start, id: c.path },
		h("p.what", h("b", c.kind === "worker" ? toWorker(c.path) : c.path), c.state && [" is ", state(c.state, false)], ` for ${span(c.for_s)}, grace left: `, h("b", { class: c.grace_left_s === 0 ? "look" : null }, grace(c.grace_left_s)),
			c.grace_left_s > 0 && bar(c.for_s / (c.for_s + c.grace_left_s), "", c.grace_left_s < 1), " ",
			endGrace({ supervisor: c.supervisor, child: c.child, start: c.start }, c.child, c.grace_left_s)),
		h("p.hint", c.pending < 0 ? "It has no account." : `It still has ${many(c.pending, "piece")} of work: ${many(c.tasks, "task")} that ${c.tasks === 1 ? "has" : "have"} started, ${count(c.queued)} queued, ${many(c.offloads, "offloaded function")}.`),
		tasks.length > 0 && table(`Tasks of ${c.path}`, taskColumns.filter((t) => t.head !== "Created by"), tasks, { key: taskKey }),
		c.tasks > tasks.length && h("p.more", `${count(c.tasks - tasks.length)} more tasks: `, toWorker(c.path, "all of them")));
}

export const stop = {
	title: "Stop",
	show(v) {
		let left = maxTasks;
		const draining = (c) => {
			const one = child(c, left);
			left -= Math.min(left, c.waits_for.length);
			return one;
		};
		return [
			h("p.lead", { key: "lead" }, v.stopping ? "A stop goes on." : "Nothing is being stopped. This page shows a stop while it goes on, and until the process ends."),
			v.trees.map((t) => h("section", { key: t.id + t.start, id: t.id },
				h("h2", t.id),
				facts([["State", state(t.state)], t.for_s > 0 && ["Stopping", span(t.for_s)], ["Ended", `${count(t.gone)} of ${many(t.total, "child", "children")}`], t.draining.length > 0 && ["Drain now", count(t.draining.length), true]]),
				t.for_s > 0 && [bar(t.total ? t.gone / t.total : 1, `${count(t.gone)} of ${count(t.total)} have ended`), " ", endGrace({ supervisor: t.id, start: t.start }, t.id, -1)],
				t.draining.length > 0 && h("ol.drains", t.draining.map(draining)),
				t.for_s > 0 && t.next.length > 0 && h("p", h("b", "Then: "), t.next.join(", "), t.more_next > 0 && `, and ${count(t.more_next)} more`),
				t.for_s === 0 && t.next.length > 0 && h("p.hint", "In a stop they would end in this order: ", t.next.join(", "), t.more_next > 0 && `, and ${count(t.more_next)} more`))),
		];
	},
};
