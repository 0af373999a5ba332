// SPDX-License-Identifier: Apache-2.0

import { h } from "./dom.js";
import { count, many, some, span } from "./format.js";
import { graph } from "./charts.js";
import { section, state, table, toWorker } from "./parts.js";
import { action } from "./act.js";

// The rows of each part: together no more than a page may have.
const maxRoots = 25, maxTree = 70, maxGroups = 100;

const cancel = (ref, label = "Cancel") => ref && ref.id ? action("cancel-task", { worker: ref.worker, incarnation: ref.incarnation, task: ref.id },
	{ label, ask: `Cancel ${ref.task} of ${ref.worker}?`, yes: "Cancel the task", cause: true }) : null;

function root(r) {
	const members = r.members ?? [];
	return h("li", { key: r.worker + r.what.replace(/\d[\d.]*(ns|µs|ms|s|m|h)+/g, ""), class: r.ring || r.blocked_s ? "root look" : "root" },
		h("p.wait", h("b", many(r.tasks, "task")), ` of ${many(r.workers, "worker")} ${r.tasks === 1 ? "waits" : "wait"}`, r.queued > 0 && `, and ${many(r.queued, "message")} in the queue`, r.age_s > 0 && `, for up to ${span(r.age_s)}`, ", for"),
		h("p.what", r.ring ? [h("b", "Ring: "), [...members, members[0]].map((m, i) => [i > 0 && " → ", toWorker(m.worker), ": " + m.task]), ". Each awaits the next."]
			: r.worker && r.what.startsWith(r.worker) ? [toWorker(r.worker), r.what.slice(r.worker.length)] : r.what),
		r.ring ? members.map((m) => cancel(m, "Cancel " + m.task)) : cancel(r.ref && { ...r.ref, task: r.task }, "Cancel " + r.task));
}

function tree(nodes) {
	let left = maxTree;
	const one = (n, at) => {
		if (left <= 0) return null;
		left--;
		const kids = (n.children ?? []).map(one).filter(Boolean);
		const hidden = (n.more ?? 0) + ((n.children?.length ?? 0) - kids.length);
		return h("li", { key: `${at} ${n.text.replace(/[\d.]+ ?\S*$/, "")}`, class: n.ring ? "ring row" : "row" },
			h("div", n.ring && h("b.tag", "ring"), toWorker(n.ref?.worker ?? n.worker, n.text.replace(/^ring: /, "")) ?? n.text.replace(/^ring: /, "")),
			(kids.length > 0 || hidden > 0) && h("ul", kids, hidden > 0 && h("li.more", `${count(hidden)} more`)));
	};
	return h("ul.tree", nodes.map(one));
}

const groups = [
	{ head: "Kind", cell: (g) => h("a", { href: "workers?q=" + encodeURIComponent(g.kind) }, g.kind) },
	{ head: "Task", cell: (g) => g.task },
	{ head: "State", cell: (g) => state(g.state) },
	{ head: "Awaits", cell: (g) => g.awaits ?? "–" },
	{ head: "of", cell: (g) => g.of ?? "–" },
	{ head: "at", cell: (g) => (g.line ? h("code", g.line) : "") },
	{ head: "Tasks", num: true, cell: (g) => count(g.n) },
	{ head: "Workers", num: true, cell: (g) => count(g.workers) },
	{ head: "Oldest", num: true, cell: (g) => some(g.oldest_s) },
	{ head: "One of them", cell: (g) => g.example && [toWorker(g.example.worker), " ", cancel({ ...g.example, task: g.task })] },
];

export const waits = {
	title: "Waits",
	params: ["lines"],
	show(v, { q, go }) {
		const lines = Boolean(q.get("lines"));
		const kept = v.tree.filter((n) => n.children?.length || n.more);
		return [
			h("p.lead", { key: "lead" }, `${many(v.tasks, "task")} ${v.tasks === 1 ? "has" : "have"} started and not ended. `,
				h("label", h("input", { type: "checkbox", checked: lines, onchange: (e) => go({ lines: e.target.checked ? "1" : "" }) }), " where in the code they wait (some microseconds for each goroutine)")),
			section("What is waited for in the end", v.roots.length ? h("ol.roots", v.roots.slice(0, maxRoots).map(root),
				v.roots.length + v.more_roots > maxRoots && h("li.more", `${count(v.roots.length + v.more_roots - maxRoots)} more, with fewer waiters`)) : h("p.none", "Nobody waits for anybody.")),
			v.graph.edges.length > 0 && section("Who waits for whom", h("p.hint", "Kinds of workers. Who waits is on the left of what it waits for; ◆ is waited for in the end."), graph(v.graph)),
			kept.length > 0 && section("Tree", h("p.hint", "Below each line is who waits for it."), tree(kept)),
			section("Groups", table("Groups of tasks that are the same", lines ? groups : groups.filter((c) => c.head !== "at"), v.groups,
				{ max: maxGroups, more: v.more_groups, key: (g) => [g.kind, g.task, g.state, g.awaits, g.of, g.line].join("|"), empty: "No task is there." })),
		];
	},
};
