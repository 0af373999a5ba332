// SPDX-License-Identifier: Apache-2.0

// What several pages are made of: tables, facts, stacks, links.

import { h } from "./dom.js";
import { clock, count, marks, some, tidy } from "./format.js";

export * from "./dom.js";
export * from "./format.js";

// maxRows is how many rows a page may have: all of its tables together.
export const maxRows = 200;

// table shows rows. A column is [its head, a field, what is shown of it (a function of that and of the row), its title]. A
// number is on the right, and one whose field ends with _s is a time. o has key and look (whether it needs one) of a row,
// line (for a row that is not its cells), max, more (that the server has left out), hint (about these), empty (what to say
// of none), sort, sorts (that there are) and onsort.
export function table(label, cols, rows, o) {
	if (!rows.length) return h("p.none", { key: label }, o.empty);
	const shown = rows.slice(0, o.max ?? maxRows);
	const more = rows.length - shown.length + (o.more ?? 0);
	const numeric = new Set(cols.filter(([, f]) => rows.some((r) => typeof r[f] === "number")));
	const head = (c) => {
		const [name, field, , title] = c, sort = field.replace(/_s$/, "");
		const up = typeof rows[0][field] === "string";
		const on = o.sort === sort;
		return h("th", { scope: "col", class: numeric.has(c) && "num", title, "aria-sort": on && (up ? "ascending" : "descending") },
			o.sorts?.includes(sort) ? h("button.sort", { type: "button", onclick: () => o.onsort(sort) }, name, on && deco(up ? " ▲" : " ▼")) : name || unseen("Actions"));
	};
	const cell = (r, [, field, show]) => {
		const v = r[field];
		return show ? show(v, r) : field.endsWith("_s") ? some(v) : v ?? "–";
	};
	const line = (r) => h("tr", { key: o.key(r), class: o.look?.(r) && "look" },
		cols.map((c, i) => h(i ? "td" : "th", { scope: i ? null : "row", class: numeric.has(c) && "num" }, cell(r, c))));
	return h("div.table", { key: label },
		h("div.scroll", { role: "region", "aria-label": label, tabindex: "0" },
			h("table", h("thead", h("tr", cols.map(head))), h("tbody", shown.map(o.line ?? line)))),
		more > 0 && h("p.more", `${count(more)} more ${more === 1 ? "is" : "are"} not shown. `, o.hint));
}

// deco is for those who see it, unseen for those who do not.
export const deco = (t) => h("span", { "aria-hidden": "true" }, t);
export const unseen = (t) => h("span.unseen", t);

// bad is what is wrong.
export const bad = (...t) => h("b.look", "✖ ", t);

// list shows items, or says that there are none.
export const list = (items, show, empty) => (items.length ? h("ol", items.map(show)) : h("p.none", empty));

// facts is a list of names and values: [name, value, whether it needs a look].
export const facts = (all) => h("dl.facts", all.filter(Boolean).map(([name, value, look]) =>
	h("div", { class: look && "look", key: name }, h("dt", name), h("dd", value))));

// level is the mark of one.
export const level = (l) => h("span.level", { class: l, title: l }, deco(marks[l]), unseen(l));

// stack is a place in the code, and all of its stack when it is opened.
export const stack = (line, all) => (all ? h("details.stack", { key: "stack" }, h("summary", h("code", line || "stack")), trace(all)) : line && h("code", line));

export const trace = (all) => h("pre", { tabindex: "0", "aria-label": "stack" }, all);

// toWorker links to the page of a worker. One on another machine has none.
export const toWorker = (id, text = id) => (!id || /^[^/]+:\d+\//.test(id) ? text : h("a", { href: "worker?id=" + encodeURIComponent(id) }, text));

export const toKind = (kind) => h("a", { href: "workers?q=" + encodeURIComponent(kind) }, kind);

export const section = (title, ...kids) => h("section", { key: title }, h("h2", title), ...kids);

// button is a small one.
export const button = (text, onclick, more) => h("button.act", { type: "button", onclick, ...more }, text);

// state is the word of one; what is unusual stands out.
const usual = new Set(["up", "running", "awaiting", "ready", "waiting", "closed", "idle"]);
export const state = (s) => h("span.state", { class: !usual.has(s) && "odd" }, s);

// bar is a share from 0 to 1, with its text beside it.
export const bar = (share, text, look) => h("span.bar", { class: look && "look" },
	h("span.track", { "aria-hidden": "true" }, h("span.fill", { vars: { part: Math.max(0, Math.min(1, share)) } })), h("span.num", text));

// record is what has happened, on one line.
export function record(r) {
	return h("li.record", { key: r.id }, level(r.level), h("time", clock(r.at)),
		h("span.what", r.kind === "action" && "action: ", r.what, r.ended && " is over"),
		h("span.who", r.worker && !r.supervisor ? toWorker(r.worker) : r.worker || [r.supervisor, r.child].filter(Boolean).join("/"), r.task && ": " + r.task),
		h("span.text", [r.text, r.error].filter(Boolean).join(": "), r.by && ` by ${r.by}`, r.missed && ` (${count(r.missed)} before it are forgotten)`),
		stack(r.line, r.stack));
}

// failure is one of what.
export const failure = (f, i, what) => record({ ...f, what, level: "error", id: f.at + i });

// account shows equations, and whether they hold. Each is the names of fields of c; of what has a "!" there should be none.
export function account(c, agrees, ...sums) {
	const term = (name, i) => {
		const field = name.replace("!", ""), n = c[field];
		return [i > 0 && h("span.sign", i > 1 ? "+" : "="), h("span.term", { class: field !== name && n > 0 && "look" }, h("b", n), h("span", tidy(field)))];
	};
	return h("div.account", sums.map((s) => h("div.sum", s.split(" ").map(term))),
		agrees ? h("p.fine", level("ok"), " It adds up.") : h("p.look", level("error"), " It does not add up: work is lost, or counted twice."));
}

// counts is the account of a worker, or of many.
export const counts = (c) => account(c, c.agrees, "offered accepted refused!", "accepted finished failed! canceled abandoned! dead_lettered! pending");
