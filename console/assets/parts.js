// SPDX-License-Identifier: Apache-2.0

// What several pages are made of: tables, facts, stacks, links.

import { h } from "./dom.js";
import { count, marks, words, clock } from "./format.js";

// maxRows is how many rows a page may have: all of its tables together.
export const maxRows = 200;

// table shows rows by key. cols are {head, cell, num, sort, title}; options are key (of a row),
// max, more (rows that the server has left out), empty (what to say of none), sort and onsort (of the columns
// that have a sort), look (whether a row needs a look).
export function table(label, cols, rows, o = {}) {
	const shown = rows.slice(0, Math.min(o.max ?? maxRows, maxRows));
	const more = rows.length - shown.length + (o.more ?? 0);
	if (!rows.length) return h("p.none", { key: label }, o.empty ?? "None.");
	return h("div.table", { key: label },
		h("div.scroll", { role: "region", "aria-label": label, tabindex: "0" },
			h("table", null,
				h("thead", h("tr", cols.map((c) => head(c, o)))),
				h("tbody", shown.map((r, i) => h("tr", { key: o.key ? o.key(r) : i, id: o.id?.(r), class: o.look?.(r) ? "look" : null },
					cols.map((c, at) => h(at ? "td" : "th", { scope: at ? null : "row", class: c.num ? "num" : c.cls }, c.cell(r)))))))),
		more > 0 && h("p.more", `${count(more)} more ${more === 1 ? "is" : "are"} not shown. `, o.hint));
}

function head(c, o) {
	const props = { scope: "col", class: c.num ? "num" : null, title: c.title };
	if (!c.sort) return h("th", props, c.head || h("span.unseen", "Actions"));
	const on = o.sort === c.sort;
	return h("th", { ...props, "aria-sort": on ? (c.up ? "ascending" : "descending") : null },
		h("button", { type: "button", class: "sort", onclick: () => o.onsort(c.sort) }, c.head, h("span", { "aria-hidden": "true" }, on ? (c.up ? " ▲" : " ▼") : "")));
}

// facts is a list of names and values: [name, value, whether it needs a look].
export function facts(list) {
	return h("dl.facts", list.filter(Boolean).map(([name, value, look]) =>
		h("div", { class: look ? "look" : null, key: name }, h("dt", name), h("dd", value))));
}

// level is the mark of one, with its word for those who do not see it.
export const level = (l) => h("span", { class: "level " + l, title: words[l] ?? l }, h("span", { "aria-hidden": "true" }, marks[l] ?? "●"), h("span.unseen", words[l] ?? l));

// stack is a place in the code, and all of its stack when it is opened.
export function stack(line, text, key) {
	if (!text) return line ? h("code", line) : null;
	return h("details.stack", { key }, h("summary", h("code", line || "stack")), h("pre", { tabindex: "0", "aria-label": "stack" }, text));
}

// toWorker links to the page of a worker. One on another machine has none.
export function toWorker(id, text = id) {
	if (!id || /^[^/]+:\d+\//.test(id)) return id ? text : null;
	return h("a", { href: "worker?id=" + encodeURIComponent(id) }, text);
}

// section is a part of a page.
export const section = (title, ...kids) => h("section", { key: title }, h("h2", title), ...kids);

// state is the word of one; what is unusual stands out.
const usual = new Set(["up", "running", "awaiting", "ready", "worker", "closed", "idle"]);
export const state = (s, calm = usual.has(s)) => h("span", { class: calm ? "state" : "state odd" }, s);

// bar is a share from 0 to 1, with its text beside it.
export function bar(share, text, look) {
	return h("span", { class: look ? "bar look" : "bar" }, h("span.track", { "aria-hidden": "true" }, h("span.fill", { vars: { part: Math.max(0, Math.min(1, share)) } })), h("span.num", text));
}

// record is what has happened, on one line.
export function record(r) {
	const who = r.worker || [r.supervisor, r.child].filter(Boolean).join("/");
	const text = [r.text, r.error].filter(Boolean).join(": ");
	return h("li.record", { key: "record " + r.id }, level(r.level), h("time", { datetime: r.at }, clock(r.at)),
		h("span.what", r.kind === "action" ? "action: " + r.what : r.what + (r.ended ? " is over" : "")),
		h("span.who", r.worker && !r.supervisor ? toWorker(r.worker) : who, r.task && ": " + r.task),
		h("span.text", text, r.by && ` by ${r.by}`, r.missed ? ` (${count(r.missed)} before it are forgotten)` : ""),
		r.stack && stack("stack", r.stack, "stack"));
}

// account shows that it adds up, or not.
export function account(c) {
	const term = (n, name, look) => h("span", { class: look && n ? "term look" : "term" }, h("b", count(n)), h("span", name));
	const sign = (s) => h("span.sign", s);
	const sum = (first, name, rest) => h("div.sum", term(first, name), rest.map((r, i) => [sign(i ? "+" : "="), term(...r)]));
	return h("div", { class: "account" },
		sum(c.offered, "offered", [[c.accepted, "accepted"], [c.refused, "refused", true]]),
		sum(c.accepted, "accepted", [[c.finished, "finished"], [c.failed, "failed", true], [c.canceled, "canceled"], [c.abandoned, "abandoned", true], [c.dead_lettered, "dead-lettered", true], [c.pending, "pending"]]),
		c.agrees ? h("p.fine", level("ok"), " It adds up.") : h("p.look", level("error"), " It does not add up: work is lost, or counted twice."));
}
