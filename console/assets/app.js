// SPDX-License-Identifier: Apache-2.0

// The frame of all pages: which one the address names, its stream, the verdict, and whether what is shown is old.

import { clock, deco, h, marks, render, span } from "./parts.js";
import { ask, setActing } from "./act.js";
import { openStream } from "./stream.js";
import { overview } from "./overview.js";
import { waits } from "./waits.js";
import { worker, workers } from "./workers.js";
import { stop, supervision } from "./supervision.js";
import { queues, sockets } from "./traffic.js";
import { captures } from "./captures.js";

// A page is {title, show(view, tools), log (whether it wants what has happened), params (of its query that the server is to
// know), target(q), heading(q)}.
const pages = { overview, waits, workers, worker, supervision, queues, sockets, captures, stop };

const el = (id) => document.getElementById(id);
let about = null; // the process
let current; // what is shown: {name, page, q, answer, records, gone (why), close (its stream)}
let paused = false;
let lost = ""; // why the stream is gone; empty: it is there
let seen = 0; // when the last answer came

const fileOf = () => location.pathname.split("/").pop();

// open shows the page that the address names.
function open(focus) {
	current?.close?.();
	const name = Object.hasOwn(pages, fileOf()) ? fileOf() : "overview";
	const same = current?.name === name;
	current = { name, page: pages[name], q: new URLSearchParams(location.search), answer: same && current.answer, records: same ? current.records : [], gone: "" };
	if (!same) paint(h("p.none", { key: "wait" }, "Looking …"));
	connect();
	draw();
	if (focus) {
		scrollTo(0, 0);
		el("main").focus({ preventScroll: true });
	}
}

function connect() {
	const of = current;
	of.close?.();
	of.close = null;
	if (paused || document.hidden) return;
	const query = new URLSearchParams({ page: of.name, interval: "1" });
	for (const p of of.page.params ?? []) if (of.q.get(p)) query.set(p, of.q.get(p));
	if (of.page.log) {
		query.set("since", "0");
		of.records = [];
	}
	const heard = (changes) => {
		[lost, seen] = ["", Date.now()];
		Object.assign(of, changes);
		redraw();
	};
	of.close = openStream(query, {
		view: (answer) => heard({ answer, gone: "" }),
		gone: (gone) => heard({ gone }),
		log(record) {
			if (of.page.log) heard({ records: [record, ...of.records].slice(0, 100) });
		},
		lost(why) {
			lost = why;
			drawStale();
		},
		again: askAbout, // it may be another process
	});
}

let waiting = false;

// redraw draws once for all that comes at a time.
function redraw() {
	if (waiting) return;
	waiting = true;
	requestAnimationFrame(() => {
		waiting = false;
		draw();
	});
}

// paint shows the heading of the page, and what is below it.
const paint = (...kids) => render(el("main"), h("h1", { key: "h1" }, current.page.heading?.(current.q) ?? current.page.title), kids);

function draw() {
	const { page, q, answer, gone, records, name } = current;
	drawHead();
	if (!answer && !gone) return;
	if (answer) paint(gone && h("p.look", { key: "gone" }, h("b", "It has ended: "), gone, ". What is shown is what was seen last."), page.show(answer.view, { q, go, records, redraw }));
	else paint(h("p.look", { key: "gone" }, gone));
	document.body.dataset.painted = `${name} ${answer ? answer.seq : 0}`;
	const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
	for (const e of document.querySelectorAll("[data-here]")) if (e !== target) delete e.dataset.here;
	if (target && !("here" in target.dataset)) { // not by :target, which an element that comes later is not
		target.dataset.here = "";
		target.scrollIntoView({ block: "center" });
	}
}

function drawHead() {
	const { name, page, q, answer } = current;
	const v = answer?.verdict;
	const process = about ? `${about.command} ${about.pid}` : "protoloop";
	document.title = [v && v.level !== "ok" && marks[v.level] + " ", page.target?.(q) && page.target(q) + " · ", page.title, " · ", process].filter(Boolean).join("");
	render(el("process"), process, about?.host && h("small", " on ", about.host));
	const under = name === "worker" ? "workers" : name;
	render(el("nav"), h("ul", Object.keys(pages).filter((n) => n !== "worker").map((n) =>
		h("li", h("a", { href: n === "overview" ? "./" : n, "aria-current": n === under && "page" }, pages[n].title)))));
	if (v) {
		render(el("verdict"), h("a.level", { href: "./", class: v.level }, deco(marks[v.level]), " ", v.text));
	}
	drawStale();
	if (about) {
		render(el("foot"), h("p", [
			answer && `Seen at ${clock(answer.at)}`, `started ${clock(about.started)}`, `address ${about.address}`, `${about.go}, GOMAXPROCS ${about.gomaxprocs}`, about.version,
			about.actions ? "actions are on" : "actions are off (console.Options.Actions)",
		].filter(Boolean).join(" · ")));
	}
}

// drawStale says since when nothing has come, and why, or how old that is.
function drawStale() {
	const { at, age_s } = current.answer || {};
	const stale = !paused && (lost || (seen && Date.now() - seen > 4000 && !document.hidden));
	const text = paused ? `Paused at ${at ? clock(at) : "once"}`
		: stale ? `${marks.warning} Stale since ${seen ? clock(seen) : "the beginning"}: ${lost || "nothing has come"}`
		: age_s >= 1 && `Seen ${span(age_s)} ago`;
	el("stale").hidden = !text;
	render(el("stale"), text);
	document.body.classList.toggle("old", stale);
}

// go shows the same page with other parameters: {sort: "queued"}; an empty one is taken out.
function go(changes) {
	const q = new URLSearchParams(location.search);
	for (const k in changes) {
		if (changes[k]) q.set(k, changes[k]);
		else q.delete(k);
	}
	history.replaceState(null, "", (fileOf() || "./") + (q.size ? "?" + q : ""));
	open();
}

async function askAbout() {
	const { view } = await ask("api/about");
	if (!view) return; // the stream says that nobody is there
	about = view;
	setActing(about.actions, redraw);
	redraw();
}

document.addEventListener("click", (e) => {
	const href = e.target.closest?.("a[href]:not([download])")?.getAttribute("href");
	if (!href || href.startsWith("#") || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
	e.preventDefault();
	history.pushState(null, "", href);
	open(true);
});
addEventListener("popstate", () => open(true));
document.addEventListener("visibilitychange", connect);
el("pause").onclick = () => {
	paused = !paused;
	el("pause").setAttribute("aria-pressed", paused);
	el("pause").textContent = paused ? "Go on" : "Pause";
	connect();
	drawStale();
};
setInterval(drawStale, 1000);
askAbout();
open();
