// SPDX-License-Identifier: Apache-2.0

// Charts in SVG: a minute, a histogram, and who waits for whom.

import { h } from "./dom.js";
import { count, many, span } from "./format.js";

const svg = (width, height, label, props, ...kids) => h("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, ...props }, kids);
const base = (y, width) => h("path", { d: `M0 ${y}H${width}` });
const stretched = { preserveAspectRatio: "none" };

// spark is the last minute of a value; ages are how many seconds ago each was.
export function spark(name, ages, values, text) {
	const top = Math.max(...values, 0);
	const now = text(values.at(-1) ?? 0);
	const x = (i) => (120 - Math.min(60, ages[i]) * 2).toFixed(1);
	const points = values.map((v, i) => `${x(i)},${(26 - (v / (top || 1)) * 23).toFixed(1)}`).join("L");
	return h("figure.spark", { key: name },
		h("figcaption", h("span", name), h("b", now)),
		svg(120, 28, `${name}: now ${now}, at most ${text(top)} in the last minute`, stretched, base(26.5, 120),
			values.length > 1 && [h("path.area", { d: `M${x(0)},26L${points}L${x(values.length - 1)},26Z` }), h("path.line", { d: "M" + points })]),
		h("small", `most ${text(top)}`));
}

// histogram is how long something took: a bar for each power of two.
export function histogram(name, g) {
	if (!g?.n) return h("p.none", { key: name }, `${name}: nothing was measured yet. One in 64 is.`);
	const most = Math.max(...g.buckets.map((b) => b.n));
	const wide = 16, high = 90, width = Math.max(g.buckets.length * wide, 160);
	const every = Math.ceil(g.buckets.length / 6);
	const said = ` median ${span(g.p50_s)}, 90 % ${span(g.p90_s)}, 99 % ${span(g.p99_s)}`;
	return h("figure.histogram", { key: name },
		h("figcaption", h("b", name), said, `; ${count(g.n)} measured`),
		svg(width, high + 16, `${name}: ${said}`, {}, base(high + 0.5, width),
			g.buckets.map((b, i) => {
				const x = i * wide + 1, height = b.n ? Math.max(1.5, (b.n / most) * (high - 4)) : 0;
				return h("g", { key: b.le_s }, h("title", `at most ${span(b.le_s)}: ${count(b.n)}`),
					h("rect", { class: b.le_s > g.p99_s * 0.99 && "tail", x, y: high - height, width: wide - 2, height }),
					i % every === 0 && h("text", { x, y: high + 12 }, span(b.le_s).replace(" ", "")));
			})));
}

// Of a node, and between nodes.
const wide = 168, high = 40, gapX = 88, gapY = 20;

// graph shows whose tasks wait for those of which kind; the server has found the places. A ring is drawn dashed.
export function graph(g) {
	const by = new Map(g.nodes.map((n) => [n.kind, { ...n, x: 6 + n.layer * (wide + gapX), y: 26 + n.row * (high + gapY) }]));
	const width = g.layers * (wide + gapX) - 40, height = g.rows * (high + gapY) + 44;
	return h("div.scroll.graph", { role: "region", "aria-label": "Graph of kinds", tabindex: "0", key: "graph" },
		svg(width, height, "Whose tasks wait for those of which kind", { role: "group", width, height }, g.edges.map((e) => edge(e, by.get(e.from), by.get(e.to))), [...by.values()].map(node)),
		g.more_nodes > 0 && h("p.more", g.more_nodes, " kinds with fewer tasks are not drawn."));
}

function node(n) {
	const name = n.kind.length > 22 ? n.kind.slice(0, 21) + "…" : n.kind;
	const tasks = many(n.tasks, "task");
	return h("a.node", { key: n.kind, href: "workers?q=" + encodeURIComponent(n.kind), class: n.root && "root" },
		h("title", `${n.kind}: ${tasks}${n.root ? ", waited for in the end" : ""}`),
		h("rect", { x: n.x, y: n.y, width: wide, height: high, rx: 5 }),
		h("text.name", { x: n.x + 10, y: n.y + 17 }, name),
		h("text", { x: n.x + 10, y: n.y + 32 }, n.root && "◆ ", tasks));
}

function edge(e, a, b) {
	let p, head; // the curve: from, two points that it goes towards, to
	if (a.layer < b.layer) {
		const x1 = a.x + wide, y1 = a.y + high / 2, x2 = b.x - 2, y2 = b.y + high / 2, middle = (x1 + x2) / 2;
		p = [x1, y1, middle, y1, middle, y2, x2, y2];
		head = "l-7-4v8z";
	} else { // back to the left, or to its own kind, below the nodes
		const x1 = a.x + wide / 2 + 20, x2 = b.x + wide / 2 - 20, y1 = a.y + high, y2 = b.y + high, low = Math.max(y1, y2) + 34;
		p = [x1, y1, x1, low, x2, low, x2, y2];
		head = "l4 7h-8z";
	}
	const middle = (i) => (p[i] + 3 * p[i + 2] + 3 * p[i + 4] + p[i + 6]) / 8;
	return h("g.edge", { key: `${e.from} ${e.to}`, class: e.ring && "ring" },
		h("title", `${many(e.n, "task")} of ${e.from} await ${e.to}, for at most ${span(e.oldest_s)}${e.ring ? ": a ring" : ""}`),
		h("path", { d: `M${p[0]} ${p[1]}C${p.slice(2).join(" ")}`, "stroke-width": (1.2 + Math.min(3, Math.log10(e.n + 1))).toFixed(1) }),
		h("path.head", { d: `M${p[6]} ${p[7]}${head}` }),
		h("text", { x: middle(0), y: middle(1) - 4, "text-anchor": "middle" }, e.ring && "ring: ", e.n));
}
