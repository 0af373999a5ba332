// SPDX-License-Identifier: Apache-2.0

import { h } from "./dom.js";
import { clock, count, many, percent, some, span, tidy } from "./format.js";
import { times } from "./charts.js";
import { bar, maxRows, record, section, stack, state, toWorker } from "./parts.js";
import { action } from "./act.js";

// grace is how long something still has to end.
export const grace = (s) => (s < 0 ? "no end" : s > 0 ? span(s) : "over");

const target = (sup, child) => ({ supervisor: sup.id, child: child.name, start: child.start });

export const endGrace = (to, name, left) => left !== 0 ? action("end-grace", to, { label: "End grace", ask: `End the grace of ${name} now?`, yes: "End its grace" }) : null;

function actions(sup, c) {
	const to = target(sup, c);
	if (c.state === "stopping") return endGrace(to, c.name, c.grace_left_s);
	return [
		action("restart-child", to, { label: c.state === "gone" ? "Start" : "Restart", ask: `Restart ${c.name}?`, yes: "Restart it" }),
		c.state !== "gone" && action("stop-child", to, { label: "Stop", ask: `Stop ${c.name}? It stays down.`, yes: "Stop it" }),
	];
}

// meter shows how many of the restarts that are allowed are used.
function meter(s) {
	if (s.max_restarts < 0) return "any number of restarts";
	const look = s.intensity > 0.6;
	return [bar(s.intensity, "", look), h("span", { class: look ? "look" : null }, `${look ? "▲ " : ""}${count(s.used)} of ${count(s.max_restarts)} restarts within ${span(s.within_s)}`)];
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

const indent = (depth, ...kids) => h("div.indent", { vars: { depth } }, ...kids);

function line(r) {
	const { sup: s, child: c, depth } = r;
	if (r.rest) return h("tr", { key: s.id + " rest" }, h("td.more", { colspan: "8" }, indent(depth, `${count(r.rest)} more children are not shown: `, Object.entries(s.states).map(([k, n]) => `${count(n)} ${k}`).join(", "))));
	if (!c) {
		const as = s.as;
		return h("tr", { key: s.id, id: s.id, class: s.error ? "sup look" : "sup" },
			h("th", { scope: "row" }, indent(depth, h("span", { "aria-hidden": "true" }, "▾ "), h("a", { href: "supervision?at=" + encodeURIComponent(s.id) }, as ? as.name : s.id))),
			h("td", state(s.state, s.state === "running"), s.for_s > 0 && ` for ${span(s.for_s)}`),
			h("td", { colspan: "3" }, tidy(s.strategy), ", ", many(s.len, "child", "children")),
			h("td.meter", { colspan: "2" }, meter(s), s.error && h("span.look", " ", s.error)),
			h("td.acts", as ? actions(s.of, as) : s.for_s > 0 ? endGrace({ supervisor: s.id, start: s.start }, s.id, -1) : null));
	}
	const odd = c.state !== "up";
	return h("tr", { key: c.path, id: c.path, class: odd && c.state !== "quiesced" ? "look" : null },
		h("th", { scope: "row" }, indent(depth, c.kind === "worker" && c.state !== "gone" ? toWorker(c.path, c.name) : c.name)),
		h("td", state(c.state)),
		h("td.num", some(c.for_s)),
		h("td.num", c.restarts ? h("b", count(c.restarts)) : "0"),
		h("td", c.restart),
		h("td.num", c.backoff_left_s > 0 ? h("b", "restarts in " + span(c.backoff_left_s)) : c.state === "stopping" ? h("b", "grace " + grace(c.grace_left_s)) : c.shutdown_s < 0 ? "no end" : span(c.shutdown_s)),
		h("td.cause", c.error),
		h("td.acts", actions(s, c)));
}

function find(sups, id) {
	for (const s of sups) {
		if (s.id === id) return s;
		const below = find(s.children.map((c) => c.supervisor).filter(Boolean), id);
		if (below) return below;
	}
	return null;
}

export const supervision = {
	title: "Supervision",
	target: (q) => q.get("at"),
	show(v, { q, answer }) {
		const at = q.get("at");
		const top = at ? [find(v.supervisors, at)].filter(Boolean) : v.supervisors;
		const tree = top.flatMap((s) => rows(s, 0, []));
		const shown = tree.slice(0, maxRows - 1);
		const events = v.timeline.filter((r) => !at || (r.supervisor + "/").startsWith(at + "/"));
		return [
			at && h("p.lead", { key: "at" }, `Only ${at} and below. `, h("a", { href: "supervision" }, "All supervisors"), !top.length && h("b.look", " It is not there any more.")),
			section("Tree", tree.length ? h("div.table", h("div.scroll", { role: "region", "aria-label": "Supervisors and their children", tabindex: "0" }, h("table", { class: "supers" },
				h("thead", h("tr", ["Child", "State", "For", "Restarts", "Restart", "Grace or backoff", "Failed of", ""].map((t, i) => h("th", { scope: "col", class: i === 2 || i === 3 || i === 5 ? "num" : null }, t || h("span.unseen", "Actions"))))),
				h("tbody", shown.map(line)))), tree.length > shown.length && h("p.more", `${count(tree.length - shown.length)} more are not shown: open one supervisor.`)) : h("p.none", "There is no supervisor.")),
			section("Timeline", times("Events of supervision", new Date(answer.at), events, 600), events.length ? h("ol.records", events.slice(0, 50).map(record)) : h("p.none", "Nothing has happened.")),
		];
	},
};
