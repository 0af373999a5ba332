// SPDX-License-Identifier: Apache-2.0

// Actions: a button that asks once more in its place, and then shows there what came of it. A target is taken when
// the button is pressed: it has the incarnation that was seen then, and the server refuses another.

import { h } from "./dom.js";

let acting = false;
let redraw = () => {};
const states = new Map(); // by key of the button: {is: "asked"|"sent"|"done"|"refused", target, text}

// setActing says whether whoever looks may act, and what draws the page.
export function setActing(is, draw) {
	[acting, redraw] = [is, draw];
}

export const mayAct = () => acting;

function set(key, state) {
	if (state) states.set(key, state);
	else states.delete(key);
	redraw();
}

// action is a button for an action on a target, or nothing if nobody may act. words are {label (on the button), ask (the
// question), yes (on the button that does it), cause (whether a reason may be given)}.
export function action(name, target, words) {
	if (!acting) return null;
	// Without what changes: the question stays with what was seen, and the server says that it is not that any more.
	const key = name + " " + JSON.stringify({ ...target, start: 0, incarnation: 0 });
	const about = states.get(key) ?? { is: "" };
	const back = () => set(key, null);
	const escape = (e) => {
		if (e.key === "Escape" && about.is === "asked") back();
	};
	switch (about.is) {
	case "":
		return h("button", { key, type: "button", class: "act", onclick: () => set(key, { is: "asked", target }) }, words.label);
	case "asked":
		return h("span", { key: key + " asked", class: "confirm", role: "group", "aria-label": words.ask, onkeydown: escape },
			h("span", words.ask),
			words.cause && h("input", { type: "text", class: "cause", placeholder: "why, for the log", "aria-label": "Why, for the log", maxlength: "200", oninput: (e) => { about.cause = e.target.value; } }),
			h("button", { type: "button", class: "act yes", focus: true, onclick: () => send(key, name, about) }, words.yes ?? words.label),
			h("button", { type: "button", class: "act", onclick: back }, "No"));
	case "sent":
		return h("span", { key: key + " sent", class: "outcome", tabindex: "-1", focus: true }, "…");
	}
	return h("span", { key: key + " " + about.is, class: "outcome " + about.is, tabindex: "-1", focus: true },
		h("span", { "aria-hidden": "true" }, about.is === "done" ? "✔ " : "✖ "), about.is === "done" ? about.text : "Refused: " + about.text, " ",
		h("button", { type: "button", class: "act", "aria-label": "Close this message", onclick: back }, "×"));
}

async function send(key, name, about) {
	set(key, { is: "sent" });
	const target = about.cause ? { ...about.target, cause: about.cause } : about.target;
	try {
		const answer = await fetch("api/act/" + name, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(target) });
		const body = await answer.json();
		set(key, answer.ok ? { is: "done", text: body.text } : { is: "refused", text: body.error });
	} catch {
		set(key, { is: "refused", text: "the process cannot be reached, and may have done it or not" });
	}
}
