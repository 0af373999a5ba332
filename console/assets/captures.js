// SPDX-License-Identifier: Apache-2.0

import { h } from "./dom.js";
import { bytes, clock, count, many, span } from "./format.js";
import { section, table } from "./parts.js";
import { action, mayAct } from "./act.js";

const kept = [
	{ head: "File", cell: (c) => (c.error ? c.file : h("a", { href: "api/capture?id=" + encodeURIComponent(c.id), download: c.file }, c.file)) },
	{ head: "At", cell: (c) => clock(c.at) },
	{ head: "Took", num: true, cell: (c) => span(c.took_s) },
	{ head: "Size", num: true, cell: (c) => (c.error ? "–" : bytes(c.bytes)) },
	{ head: "Why", cell: (c) => c.why },
	{ head: "Look at it with", cell: (c) => (c.error ? h("b.look", "✖ " + c.error) : h("code", c.open)) },
];

// The look at the goroutines, which is made when somebody asks for it.
const stacks = { view: null, error: "", under: false };

async function look(redraw) {
	stacks.under = true;
	redraw();
	try {
		const answer = await fetch("api/stacks");
		const body = await answer.json();
		[stacks.view, stacks.error] = answer.ok ? [{ ...body.view, groups: merged(body.view.groups), at: body.at }, ""] : [stacks.view, body.error];
	} catch {
		stacks.error = "the process cannot be reached";
	}
	stacks.under = false;
	redraw();
}

const keyOf = (g) => g.frames.join() + JSON.stringify(g.labels ?? "");

// merged joins the groups that differ only in what is not shown.
function merged(groups) {
	const by = new Map();
	for (const g of groups) {
		const of = by.get(keyOf(g));
		if (of) of.n += g.n;
		else by.set(keyOf(g), g);
	}
	return [...by.values()].sort((a, b) => b.n - a.n);
}

const group = (g) => h("li.row", { key: keyOf(g) }, h("details", null,
	h("summary", h("b.num", count(g.n)), " ", h("code", g.line), Object.entries(g.labels ?? {}).map(([k, v]) => h("span.tag", `${k.replace("protoloop.", "")}: ${v}`))),
	h("pre", { tabindex: "0", "aria-label": "stack" }, g.frames.join("\n"))));

export const captures = {
	title: "Captures",
	show(v, { redraw, q }) {
		if (q.get("stacks") && !stacks.view && !stacks.under && !stacks.error) look(redraw);
		const s = stacks.view;
		return [
			section("Make one", h("ul.kinds", v.kinds.map((k) => h("li", { key: k.kind },
				h("div", h("b", k.what), k.takes_s > 0 && ` takes ${span(k.takes_s)}`, k.why_not && h("span.hint", ` Not now: ${k.why_not}`)),
				!k.why_not && action("capture", { kind: k.kind }, { label: "Capture", ask: `Capture: ${k.what}?`, yes: "Capture it" })))),
			!mayAct() && h("p.hint", "Nobody may make one: actions are off. Those that are made by themselves are below."),
			h("p.hint", v.recorder.on ? `The flight recorder has the last ${span(v.recorder.window_s)}; a blocked turn keeps them.` : `The flight recorder is off: ${v.recorder.why ?? ""}`)),
			v.running && h("p.alarm", { key: "running" }, `${v.running.kind} is being made since ${clock(v.running.at)} …`),
			section("Kept", table("Captures that are kept", kept, v.kept, { key: (c) => c.id, max: 50, empty: "None." })),
			section("Goroutines", h("p", h("button", { type: "button", class: "act", onclick: () => look(redraw), disabled: stacks.under }, s ? "Look again" : "Look at all goroutines"), h("span.hint", " Some microseconds for each; grouped by where they stand.")),
				stacks.error && h("p.look", stacks.error),
				s && [h("p", `${many(s.goroutines, "goroutine")} at ${clock(s.at)}.`), h("ol.stacks", s.groups.slice(0, 140).map(group)), s.groups.length > 140 && h("p.more", `${count(s.groups.length - 140)} more groups; a capture has all.`)]),
		];
	},
};
