// SPDX-License-Identifier: Apache-2.0

// The frame of all pages: which one the address names, the stream that feeds it, the verdict, and whether what is
// shown is old.

import { h, render } from "./dom.js";
import { clock, marks, many, span, words } from "./format.js";
import { setActing } from "./act.js";
import { openStream } from "./stream.js";
import { overview } from "./overview.js";
import { waits } from "./waits.js";
import { worker, workers } from "./workers.js";
import { supervision } from "./supervision.js";
import { queues, sockets } from "./traffic.js";
import { captures } from "./captures.js";
import { stop } from "./stop.js";

// A page is {title, show(view, q, answer), log (how much of what has happened it wants: "all"), params (of its query
// that the server is to know), target(q)}.
const pages = { overview, waits, workers, worker, supervision, queues, sockets, captures, stop };
const inNav = ["overview", "waits", "workers", "supervision", "queues", "sockets", "captures", "stop"];

const el = (id) => document.getElementById(id);
let about = null; // the process
let current; // {page, q, view (an answer), gone, stream}
let paused = false;
let lost = ""; // why the stream is gone; empty: it is there
let seen = 0; // when the last answer came

function where() {
	const name = location.pathname.split("/").pop() || "overview";
	return { name: pages[name] ? name : "overview", q: new URLSearchParams(location.search) };
}

// open shows the page that the address names.
function open(focus) {
	current?.stream?.close();
	const { name, q } = where();
	const same = current?.name === name;
	current = { name, page: pages[name], q, answer: same ? current.answer : null, records: same ? current.records : [], gone: "" };
	if (!same) render(el("main"), h("h1", { key: "h1" }, current.page.title), h("p.none", { key: "wait" }, "Looking …"));
	connect();
	draw();
	if (focus) {
		scrollTo(0, 0);
		el("main").focus({ preventScroll: true });
	}
}

function connect() {
	current.stream?.close();
	current.stream = null;
	if (paused || document.hidden) return;
	const { page, q, name } = current;
	const query = new URLSearchParams({ page: name, interval: "1" });
	for (const p of page.params ?? []) if (q.get(p)) query.set(p, q.get(p));
	if (page.log) query.set("after", "0");
	const of = current;
	if (page.log) of.records = [];
	of.stream = openStream(query, {
		view(answer) {
			[lost, seen] = ["", Date.now()];
			if (of !== current) return;
			of.answer = answer;
			of.gone = "";
			drawSoon();
		},
		gone(why) {
			[lost, seen] = ["", Date.now()];
			of.gone = why;
			drawSoon();
		},
		log(record) {
			if (!page.log) return;
			of.records.unshift(record);
			of.records.length = Math.min(of.records.length, 100);
			drawSoon();
		},
		async lost(why) {
			lost = why;
			drawStale();
		},
		again: askAbout, // it may be another process
	});
}

let waiting = false;

// drawSoon draws once for all that comes at a time.
export function drawSoon() {
	if (waiting) return;
	waiting = true;
	requestAnimationFrame(() => {
		waiting = false;
		draw();
	});
}

function draw() {
	const { page, q, answer, gone, records, name } = current;
	drawHead();
	if (!answer) {
		if (gone) {
			render(el("main"), h("h1", { key: "h1" }, page.title), h("p.look", { key: "gone" }, gone));
			document.body.dataset.painted = name + " 0";
		}
		return;
	}
	const tools = { q, go, records, about, answer, redraw: drawSoon };
	render(el("main"), h("h1", { key: "h1" }, page.heading?.(q) ?? page.title),
		gone && h("p.look.gone", { key: "gone" }, h("b", "It has ended: "), gone, ". What is shown is what was seen last."),
		page.show(answer.view, tools));
	document.body.dataset.painted = `${name} ${answer.seq}`;
	const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
	for (const e of document.querySelectorAll("[data-here]")) if (e !== target) delete e.dataset.here;
	if (target && !("here" in target.dataset)) { // not by :target, which an element that comes later is not
		target.dataset.here = "";
		target.scrollIntoView({ block: "center" });
	}
}

function drawHead() {
	const v = current.answer?.verdict;
	const target = current.page.target?.(current.q);
	const process = about ? `${about.command} ${about.pid}` : "protoloop";
	document.title = `${v && v.level !== "ok" ? marks[v.level] + " " : ""}${target ? target + " · " : ""}${current.page.title} · ${process}`;
	render(el("process"), process, about?.host ? h("small", " on " + about.host) : null);
	render(el("nav"), h("ul", inNav.map((n) => {
		const here = n === current.name || (n === "workers" && current.name === "worker");
		return h("li", h("a", { href: n === "overview" ? "./" : n, "aria-current": here ? "page" : null }, pages[n].title));
	})));
	if (v) {
		const parts = [v.errors && many(v.errors, "error"), v.warnings && many(v.warnings, "warning")].filter(Boolean);
		render(el("verdict"), h("a", { href: "./", class: "level " + v.level }, h("span", { "aria-hidden": "true" }, marks[v.level]), h("span", " " + (parts.join(", ") || "All is well")), h("span.unseen", v.level === "ok" ? "" : ` (${words[v.level]})`)));
	}
	drawStale();
	if (about) {
		render(el("foot"), h("p", [
			current.answer && `Seen at ${clock(current.answer.at)}`, `started ${clock(about.started)}`, `address ${about.address}`, `${about.go}, GOMAXPROCS ${about.gomaxprocs}`, about.version,
			about.actions ? "actions are on" : "actions are off (console.Options.Actions)",
		].filter(Boolean).join(" · ")));
	}
}

// drawStale says since when nothing has come, and why.
function drawStale() {
	const at = current.answer && clock(current.answer.at);
	const old = seen && Date.now() - seen > 4000;
	let text = "";
	if (paused) text = `Paused at ${at ?? "once"}`;
	else if (lost || (old && !document.hidden)) text = `${marks.warning} Stale since ${seen ? clock(seen) + " (" + span(Math.max(1, Math.round((Date.now() - seen) / 1000))) + ")" : "the beginning"}: ${lost || "nothing has come"}`;
	el("stale").hidden = !text;
	render(el("stale"), text);
	document.body.classList.toggle("old", Boolean(text) && !paused);
}

// go shows the same page with other parameters: {sort: "queued"}; an empty one is taken out.
function go(changes) {
	const q = new URLSearchParams(location.search);
	for (const k in changes) {
		if (changes[k]) q.set(k, changes[k]);
		else q.delete(k);
	}
	const text = q.toString();
	history.replaceState(null, "", (location.pathname.split("/").pop() || "./") + (text ? "?" + text : ""));
	open();
}

async function askAbout() {
	try {
		const answer = await (await fetch("api/about")).json();
		about = answer.view;
		setActing(Boolean(about?.actions), drawSoon);
		drawSoon();
	} catch { /* the stream says that nobody is there */ }
}

document.addEventListener("click", (e) => {
	const a = e.target.closest?.("a[href]");
	if (!a || e.defaultPrevented || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey || a.hasAttribute("download")) return;
	const href = a.getAttribute("href");
	if (href.startsWith("#")) return;
	e.preventDefault();
	history.pushState(null, "", href);
	open(true);
});
addEventListener("popstate", () => open(true));
document.addEventListener("visibilitychange", connect);
el("pause").onclick = () => {
	paused = !paused;
	el("pause").setAttribute("aria-pressed", String(paused));
	el("pause").textContent = paused ? "Go on" : "Pause";
	connect();
	drawStale();
};
setInterval(drawStale, 1000);
askAbout();
open();
