// SPDX-License-Identifier: Apache-2.0

// Charts in SVG: a minute, a histogram, times, and who waits for whom.

import { h } from "./dom.js";
import { span, count, many } from "./format.js";

// spark is the last minute of a value; ages are how many seconds ago each was.
export function spark(name, ages, values, text) {
	const top = Math.max(...values, 0);
	const x = (i) => (120 - Math.min(60, ages[i]) * 2).toFixed(1);
	const y = (v) => (top ? 26 - (v / top) * 23 : 26).toFixed(1);
	const points = values.map((v, i) => `${x(i)},${y(v)}`);
	const now = values.at(-1) ?? 0;
	return h("figure.spark", { key: name },
		h("figcaption", h("span", name), h("b", text(now))),
		h("svg", { viewBox: "0 0 120 28", preserveAspectRatio: "none", role: "img", "aria-label": `${name}: now ${text(now)}, at most ${text(top)} in the last minute` },
			h("path.base", { d: "M0 26.5H120" }),
			points.length > 1 && h("path.area", { d: `M${x(0)},26L${points.join("L")}L${x(values.length - 1)},26Z` }),
			points.length > 1 && h("path.line", { d: "M" + points.join("L") })),
		h("small", top ? `most ${text(top)}` : " "));
}

// histogram is how long something took: a bar for each power of two.
export function histogram(name, g) {
	if (!g || !g.n) return h("p.none", { key: name }, `${name}: nothing was measured yet. One in 64 is.`);
	const top = Math.max(...g.buckets.map((b) => b.n));
	const wide = 16, n = g.buckets.length, high = 90;
	const every = Math.ceil(n / 6);
	return h("figure.histogram", { key: name },
		h("figcaption", h("b", name), ` median ${span(g.p50_s)}, 90 % ${span(g.p90_s)}, 99 % ${span(g.p99_s)}; ${count(g.n)} measured`),
		h("svg", { viewBox: `0 0 ${Math.max(n * wide, 160)} ${high + 16}`, role: "img", "aria-label": `${name}: median ${span(g.p50_s)}, 99 % within ${span(g.p99_s)}` },
			h("path.base", { d: `M0 ${high + 0.5}H${Math.max(n * wide, 160)}` }),
			g.buckets.map((b, i) => {
				const tall = b.n ? Math.max(1.5, (b.n / top) * (high - 4)) : 0;
				return h("g", { key: b.le_s }, h("title", `at most ${span(b.le_s)}: ${count(b.n)}`),
					h("rect", { class: b.le_s > g.p99_s * 0.99 ? "tail" : "body", x: i * wide + 1, y: high - tall, width: wide - 2, height: tall }),
					i % every === 0 && h("text", { x: i * wide + 1, y: high + 12 }, span(b.le_s).replace(" ", "")));
			})));
}

// times is a strip of moments within the last seconds, each {at, level}; the newest is on the right.
export function times(name, now, moments, seconds) {
	const x = (at) => 600 - Math.min(seconds, Math.max(0, (now - new Date(at)) / 1000)) / seconds * 600;
	const shown = moments.filter((m) => now - new Date(m.at) < seconds * 1000);
	return h("figure.times", { key: name },
		h("svg", { viewBox: "0 0 600 34", preserveAspectRatio: "none", role: "img", "aria-label": `${name}: ${shown.length} in the last ${span(seconds)}` },
			h("path.base", { d: "M0 30.5H600" }),
			[1, 2, 3, 4].map((i) => h("path.tick", { d: `M${i * 120} 4V30` })),
			shown.map((m) => h("path", { key: m.id, class: "moment " + m.level, d: `M${x(m.at).toFixed(1)} ${m.level === "error" ? 6 : 16}V30` }))),
		h("figcaption", h("span", `${span(seconds)} ago`), h("span", many(shown.length, "event")), h("span", "now")));
}

// maxNodes is how many kinds a graph has: those with the most tasks, and what is waited for.
const maxNodes = 30;

// graph shows whose tasks wait for those of which kind: who waits is on the left of what it waits for. A ring is
// drawn dashed, with the word beside it.
export function graph(g) {
	const nodes = [...g.nodes].sort((a, b) => (b.root - a.root) || (b.tasks - a.tasks)).slice(0, maxNodes);
	const by = new Map(nodes.map((n) => [n.kind, { ...n, out: [], in: [], layer: 0 }]));
	const edges = g.edges.filter((e) => by.has(e.from) && by.has(e.to));
	for (const e of edges) {
		if (e.from === e.to) continue;
		by.get(e.from).out.push(e);
		by.get(e.to).in.push(e);
	}
	const layers = layersOf(by);
	const wide = 168, high = 40, gapX = 88, gapY = 20, left = 6, above = 26;
	const tallest = Math.max(...layers.map((l) => l.length));
	for (const [i, l] of layers.entries()) {
		for (const [j, n] of l.entries()) {
			n.x = left + i * (wide + gapX);
			n.y = above + (j + (tallest - l.length) / 2) * (high + gapY);
		}
	}
	const w = left * 2 + layers.length * wide + (layers.length - 1) * gapX + (edges.some((e) => e.from === e.to || by.get(e.from).layer >= by.get(e.to).layer) ? 30 : 0);
	const tall = above + tallest * (high + gapY) + 18;
	return h("div.scroll.graph", { role: "region", "aria-label": "Graph of kinds", tabindex: "0", key: "graph" },
		h("svg", { viewBox: `0 0 ${w} ${tall}`, width: w, height: tall, role: "group", "aria-label": "Whose tasks wait for those of which kind" },
			edges.map((e) => edge(e, by.get(e.from), by.get(e.to), wide, high)),
			[...by.values()].map((n) => node(n, wide, high))),
		g.nodes.length > maxNodes && h("p.more", `${count(g.nodes.length - maxNodes)} kinds with fewer tasks are not drawn.`));
}

// layersOf puts each node to the left of those that it waits for, but where that would go in a ring, and
// orders each layer by where its neighbors are.
function layersOf(by) {
	const done = new Map(); // the layer, counted from the right; null: under way
	const depth = (n) => {
		if (done.has(n)) return done.get(n);
		done.set(n, null);
		let d = 0;
		for (const e of n.out) {
			const below = depth(by.get(e.to));
			if (below !== null) d = Math.max(d, below + 1);
		}
		done.set(n, d);
		return d;
	};
	for (const n of by.values()) depth(n);
	const most = Math.max(...done.values(), 0);
	const layers = Array.from({ length: most + 1 }, () => []);
	for (const n of by.values()) {
		n.layer = most - done.get(n);
		layers[n.layer].push(n);
	}
	for (const l of [...layers].reverse()) {
		for (const [i, n] of l.entries()) n.at = i;
	}
	for (let round = 0; round < 4; round++) {
		for (const l of round % 2 ? layers : [...layers].reverse()) {
			const middle = (n) => {
				const near = [...n.out.map((e) => by.get(e.to)), ...n.in.map((e) => by.get(e.from))];
				return near.length ? near.reduce((s, o) => s + o.at, 0) / near.length : n.at;
			};
			const order = new Map(l.map((n) => [n, middle(n)]));
			l.sort((a, b) => order.get(a) - order.get(b) || b.tasks - a.tasks);
			for (const [i, n] of l.entries()) n.at = i;
		}
	}
	return layers;
}

const short = (text, n) => (text.length > n ? text.slice(0, n - 1) + "…" : text);

function node(n, wide, high) {
	return h("a", { key: "node " + n.kind, href: "workers?q=" + encodeURIComponent(n.kind), class: n.root ? "node root" : "node" },
		h("title", `${n.kind}: ${many(n.tasks, "task")}${n.root ? ", waited for in the end" : ""}`),
		h("rect", { x: n.x, y: n.y, width: wide, height: high, rx: 5 }),
		h("text", { x: n.x + 10, y: n.y + 17 }, short(n.kind, 22)),
		h("text.sub", { x: n.x + 10, y: n.y + 32 }, (n.root ? "◆ " : "") + many(n.tasks, "task")));
}

function edge(e, a, b, wide, high) {
	let d, x, y, end; // the path, where its text is, and its head with where that comes from
	if (a.layer < b.layer) {
		const x1 = a.x + wide, y1 = a.y + high / 2, x2 = b.x - 3, y2 = b.y + high / 2, mid = (x2 - x1) / 2;
		d = `M${x1} ${y1}C${x1 + mid} ${y1} ${x2 - mid} ${y2} ${x2} ${y2}`;
		[x, y] = [(x1 + x2) / 2, (y1 + y2) / 2 - 5];
		end = [b.x - 1, y2, -1, 0];
	} else if (a === b) { // of its own kind
		d = `M${a.x + wide - 30} ${a.y}C${a.x + wide - 26} ${a.y - 22} ${a.x + wide + 24} ${a.y - 6} ${a.x + wide + 2} ${a.y + 12}`;
		[x, y] = [a.x + wide - 8, a.y - 14];
		end = [a.x + wide + 2, a.y + 12, 1, 0];
	} else { // back to the left, below the nodes
		const x1 = a.x + wide / 2 + 20, x2 = b.x + wide / 2 - 20, y1 = a.y + high, y2 = b.y + high, low = Math.max(y1, y2) + 34;
		d = `M${x1} ${y1}C${x1} ${low} ${x2} ${low} ${x2} ${y2 + 3}`;
		[x, y] = [(x1 + x2) / 2, (y1 + y2) / 8 + low * 0.75 + 4];
		end = [x2, y2 + 1, 0, 1];
	}
	return h("g", { key: `edge ${e.from} ${e.to}`, class: e.ring ? "edge ring" : "edge" },
		h("title", `${many(e.n, "task")} of ${e.from} await ${e.to}, for at most ${span(e.oldest_s)}${e.ring ? ": a ring" : ""}`),
		h("path", { d, "stroke-width": (1.2 + Math.min(3, Math.log10(e.n + 1))).toFixed(1) }),
		h("path.head", { d: `M${end[0]} ${end[1]}l${end[2] * 7 + end[3] * 4} ${end[3] * 7 + end[2] * 4}l${end[3] * -8} ${end[2] * -8}z` }),
		h("text", { x, y, "text-anchor": "middle" }, (e.ring ? "ring: " : "") + count(e.n)));
}
