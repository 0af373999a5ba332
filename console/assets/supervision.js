// SPDX-License-Identifier: Apache-2.0

// The trees of supervisors, and how a stop of them goes on.

import { bar, count, deco, facts, h, list, many, record, section, some, span, state, table, tidy, toWorker } from "./parts.js";
import { action } from "./act.js";
import { tasks } from "./workers.js";

// grace is how long something still has to end.
const grace = (s) => (s < 0 ? "no end" : s > 0 ? span(s) : "over");

const endGrace = (to, name, left = -1) => left !== 0 && action("end-grace", to, "End grace", `End the grace of ${name} now?`);

const endTree = (s) => s.for_s > 0 && endGrace({ supervisor: s.id, start: s.start }, s.id);

function actions(sup, c) {
	const to = { supervisor: sup.id, child: c.name, start: c.start };
	if (c.state === "stopping") return endGrace(to, c.name, c.grace_left_s);
	const gone = c.state === "gone";
	return [
		action("restart-child", to, gone ? "Start" : "Restart", `${gone ? "Start" : "Restart"} ${c.name}?`),
		!gone && action("stop-child", to, "Stop", `Stop ${c.name}? It stays down.`),
	];
}

// meter shows how many of the restarts that are allowed are used.
function meter(s) {
	if (s.max_restarts < 0) return "any number of restarts";
	const look = s.intensity > 0.6;
	return [bar(s.intensity, "", look), h("span", { class: look && "look" }, look && "▲ ", `${count(s.used)} of ${count(s.max_restarts)} restarts within ${span(s.within_s)}`)];
}

// rows flattens the tree: {sup, child, depth}, a supervisor before its children.
function rows(sup, depth, out) {
	out.push({ sup, depth });
	for (const child of sup.children) {
		if (child.supervisor) rows(Object.assign(child.supervisor, { as: child, of: sup }), depth + 1, out);
		else out.push({ sup, child, depth: depth + 1 });
	}
	if (sup.len > sup.children.length) out.push({ sup, rest: sup.len - sup.children.length, depth: depth + 1 });
	return out;
}

const columns = [["Child", "name"], ["State", "state"], ["For", "for"], ["Restarts", "restarts"], ["Restart", "restart"], ["Grace or backoff", "grace"], ["Failed of", "error"], ["", "acts"]];

function line({ sup: s, child: c, rest, depth }) {
	const indent = (...kids) => h("div.indent", { vars: { depth } }, kids);
	if (rest) return h("tr", { key: s.id + " rest" }, h("td.more", { colspan: "8" }, indent(rest, " more children are not shown: ", Object.entries(s.states).map(([k, n]) => `${count(n)} ${k}`).join(", "))));
	if (!c) {
		return h("tr.sup", { key: s.id, id: s.id, class: s.error && "look" },
			h("th", { scope: "row" }, indent(deco("▾ "), h("a", { href: "supervision?at=" + encodeURIComponent(s.id) }, s.as?.name ?? s.id))),
			h("td", state(s.state), s.for_s > 0 && ` for ${span(s.for_s)}`),
			h("td", { colspan: "3" }, tidy(s.strategy), ", ", many(s.len, "child", "children")),
			h("td.meter", { colspan: "2" }, meter(s), s.error && h("span.look", " ", s.error)),
			h("td.acts", s.as ? actions(s.of, s.as) : endTree(s)));
	}
	const ends = c.backoff_left_s > 0 ? h("b", "restarts in " + span(c.backoff_left_s)) : c.state === "stopping" ? h("b", "grace " + grace(c.grace_left_s)) : c.shutdown_s < 0 ? "no end" : span(c.shutdown_s);
	return h("tr", { key: c.path, id: c.path, class: !["up", "quiesced"].includes(c.state) && "look" },
		h("th", { scope: "row" }, indent(c.kind === "worker" && c.state !== "gone" ? toWorker(c.path, c.name) : c.name)),
		h("td", state(c.state)), h("td", some(c.for_s)), h("td", c.restarts), h("td", c.restart), h("td", ends), h("td.cause", c.error), h("td.acts", actions(s, c)));
}

export const supervision = {
	title: "Supervision",
	target: (q) => q.get("at"),
	show(v, { q }) {
		const at = q.get("at");
		let tree = v.supervisors.flatMap((s) => rows(s, 0, []));
		const top = tree.find((r) => r.sup.id === at);
		if (at) tree = top ? rows(top.sup, 0, []) : [];
		const events = v.timeline.filter((r) => !at || (r.supervisor + "/").startsWith(at + "/"));
		return [
			at && h("p.lead", { key: "at" }, `Only ${at} and below. `, h("a", { href: "supervision" }, "All supervisors"), !top && h("b.look", " It is not there any more.")),
			section("Tree", table("Supervisors and their children", columns, tree, { line, hint: "Open one supervisor.", empty: "There is no supervisor." })),
			section("Timeline", list(events.slice(0, 50), record, "Nothing has happened.")),
		];
	},
};

// The rows of all tables of the page Stop together.
const maxTasks = 180;

function draining(c, shown) {
	return h("li.draining", { key: c.path + c.start, id: c.path },
		h("p.what", h("b", c.kind === "worker" ? toWorker(c.path) : c.path), c.state && [" is ", state(c.state)], ` for ${span(c.for_s)}, grace left: `, h("b", { class: c.grace_left_s === 0 && "look" }, grace(c.grace_left_s)),
			c.grace_left_s > 0 && bar(c.for_s / (c.for_s + c.grace_left_s), "", c.grace_left_s < 1), " ",
			endGrace({ supervisor: c.supervisor, child: c.child, start: c.start }, c.child, c.grace_left_s)),
		h("p.hint", c.pending < 0 ? "It has no account." : `It still has ${many(c.pending, "piece")} of work: ${many(c.tasks, "task")} started, ${count(c.queued)} queued, ${many(c.offloads, "offloaded function")}.`),
		shown.length > 0 && tasks(`Tasks of ${c.path}`, shown),
		c.tasks > shown.length && h("p.more", c.tasks - shown.length, " more tasks: ", toWorker(c.path, "all of them")));
}

export const stop = {
	title: "Stop",
	show(v) {
		let left = maxTasks;
		const child = (c) => {
			const shown = c.waits_for.slice(0, left);
			left -= shown.length;
			return draining(c, shown);
		};
		return [
			h("p.lead", { key: "lead" }, v.stopping ? "A stop goes on." : "Nothing is being stopped. This page is served until the process ends."),
			v.trees.map((t) => h("section", { key: t.id + t.start, id: t.id },
				h("h2", t.id),
				facts([["State", state(t.state)], t.for_s > 0 && ["Stopping", span(t.for_s)], ["Children", t.total], t.draining.length > 0 && ["Drain now", t.draining.length, true]]),
				t.for_s > 0 && [bar(t.total ? t.gone / t.total : 1, `${count(t.gone)} of ${count(t.total)} have ended`), " ", endTree(t)],
				t.draining.length > 0 && h("ol", t.draining.map(child)),
				t.next.length > 0 && h("p.hint", t.for_s > 0 ? h("b", "Then: ") : "In a stop they would end in this order: ", t.next.join(", "), t.more_next > 0 && [", and ", t.more_next, " more"]))),
		];
	},
};
