// SPDX-License-Identifier: Apache-2.0

import { graph } from "./charts.js";
import { count, h, list, many, section, span, state, table, toKind, toWorker } from "./parts.js";
import { cancelTask } from "./act.js";

// The rows of each part: together no more than a page may have.
const maxRoots = 25, maxTree = 70, maxGroups = 100;

const cancel = (ref) => cancelTask(ref, "Cancel " + ref.task);

function root(r) {
	const members = r.members ?? [];
	return h("li.root", { key: r.worker + r.what.replace(/\d[\d.]*(ns|µs|ms|s|m|h)+/g, ""), class: (r.ring || r.blocked_s) && "look" },
		h("p.wait", h("b", many(r.tasks, "task")), ` of ${many(r.workers, "worker")} ${r.tasks === 1 ? "waits" : "wait"}`, r.queued > 0 && `, and ${many(r.queued, "message")} in the queue`, r.age_s > 0 && `, for up to ${span(r.age_s)}`, ", for"),
		h("p.what", r.ring ? [h("b", "Ring: "), [...members, members[0]].map((m, i) => [i > 0 && " → ", toWorker(m.worker), ": " + m.task]), ". Each awaits the next."]
			: r.worker && r.what.startsWith(r.worker) ? [toWorker(r.worker), r.what.slice(r.worker.length)] : r.what),
		r.ring ? members.map(cancel) : cancel({ ...r.ref, task: r.task }));
}

function tree(nodes) {
	let left = maxTree;
	const one = (n, at) => {
		if (left-- <= 0) return null;
		const name = n.text.replace(/^ring: /, "");
		const all = n.children ?? [];
		const kids = all.map(one).filter(Boolean);
		const hidden = (n.more ?? 0) + all.length - kids.length;
		return h("li.row", { key: `${at} ${n.text.replace(/[\d.]+ ?\S*$/, "")}` },
			h("div", n.ring && h("b.tag", "ring"), toWorker(n.ref?.worker ?? n.worker, name)),
			kids.length + hidden > 0 && h("ul", kids, hidden > 0 && h("li.more", `${count(hidden)} more`)));
	};
	return h("ul.tree", nodes.map(one));
}

const groups = [
	["Kind", "kind", toKind],
	["Task", "task"],
	["State", "state", state],
	["Awaits", "awaits"],
	["of", "of"],
	["at", "line", (line) => line && h("code", line)],
	["Tasks", "n"],
	["Workers", "workers"],
	["Oldest", "oldest_s"],
	["One of them", "example", (ref, g) => ref && [toWorker(ref.worker), " ", cancelTask({ ...ref, task: g.task })]],
];

export const waits = {
	title: "Waits",
	params: ["lines"],
	show(v, { q, go }) {
		const lines = Boolean(q.get("lines"));
		const kept = v.tree.filter((n) => n.children?.length || n.more);
		const more = v.roots.length + v.more_roots - maxRoots;
		return [
			h("p.lead", { key: "lead" }, `${many(v.tasks, "task")} ${v.tasks === 1 ? "has" : "have"} started and not ended. `,
				h("label", h("input", { type: "checkbox", checked: lines, onchange: (e) => go({ lines: e.target.checked ? "1" : "" }) }), " where in the code they wait (some microseconds for each goroutine)")),
			section("What is waited for in the end", list(v.roots.slice(0, maxRoots), root, "Nobody waits for anybody."), more > 0 && h("p.more", `${count(more)} more, with fewer waiters`)),
			v.graph.edges.length > 0 && section("Who waits for whom", h("p.hint", "Kinds of workers. Who waits is on the left of what it waits for; ◆ is waited for in the end."), graph(v.graph)),
			kept.length > 0 && section("Tree", h("p.hint", "Below each line is who waits for it."), tree(kept)),
			section("Groups", table("Groups of tasks that are the same", groups.filter(([, field]) => lines || field !== "line"), v.groups,
				{ max: maxGroups, more: v.more_groups, key: (g) => [g.kind, g.task, g.state, g.awaits, g.of, g.line].join("|"), empty: "No task is there." })),
		];
	},
};
