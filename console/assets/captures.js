// SPDX-License-Identifier: Apache-2.0

import { bad, button, bytes, clock, count, h, many, section, span, table, trace } from "./parts.js";
import { action, ask } from "./act.js";

const kept = [
	["File", "file", (file, c) => (c.error ? file : h("a", { href: "api/capture?id=" + encodeURIComponent(c.id), download: file }, file))],
	["At", "at", clock],
	["Took", "took_s"],
	["Size", "bytes", (n, c) => (c.error ? "–" : bytes(n))],
	["Why", "why"],
	["Look at it with", "open", (open, c) => (c.error ? bad(c.error) : h("code", open))],
];

let stacks = {}; // the look at the goroutines, if somebody has asked for it: {view, at, error}
let looking = false;

async function look(redraw) {
	looking = true;
	redraw();
	stacks = { ...stacks, error: "", ...await ask("api/stacks") };
	looking = false;
	redraw();
}

const group = (g) => h("li.row", { key: g.frames.join() + JSON.stringify(g.labels) }, h("details",
	h("summary", h("b.num", g.n), " ", h("code", g.line), Object.entries(g.labels ?? {}).map(([k, v]) => h("span.tag", `${k.replace("protoloop.", "")}: ${v}`))),
	trace(g.frames.join("\n"))));

const maxGroups = 140;

const kind = (k) => h("li", { key: k.kind },
	h("div", h("b", k.what), k.takes_s > 0 && ` takes ${span(k.takes_s)}`, k.why_not && h("span.hint", ` Not now: ${k.why_not}`)),
	!k.why_not && action("capture", { kind: k.kind }, "Capture", `Capture: ${k.what}?`));

export const captures = {
	title: "Captures",
	show(v, { redraw }) {
		const { view: s, at, error } = stacks;
		return [
			section("Make one", h("ul.kinds", v.kinds.map(kind)),
				h("p.hint", v.recorder.on ? `The flight recorder has the last ${span(v.recorder.window_s)}; a blocked turn keeps them.` : `The flight recorder is off: ${v.recorder.why ?? ""}`)),
			v.running && h("p.alarm", { key: "running" }, `${v.running.kind} is being made since ${clock(v.running.at)} …`),
			section("Kept", table("Captures that are kept", kept, v.kept, { key: (c) => c.id, max: 50, empty: "None." })),
			section("Goroutines", h("p", button(s ? "Look again" : "Look at all goroutines", () => look(redraw), { disabled: looking }), h("span.hint", " Some microseconds for each; grouped by where they stand.")),
				error && h("p.look", error),
				s && [h("p", `${many(s.goroutines, "goroutine")} at ${clock(at)}.`), h("ol.stacks", s.groups.slice(0, maxGroups).map(group)), s.groups.length > maxGroups && h("p.more", `${count(s.groups.length - maxGroups)} more groups; a capture has all.`)]),
		];
	},
};
