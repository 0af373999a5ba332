// SPDX-License-Identifier: Apache-2.0

// Actions: a button that asks once more in its place, and then shows there what came of it. A target is taken when
// the button is pressed: it has the incarnation that was seen then, and the server refuses another.

import { h } from "./dom.js";
import { button, deco } from "./parts.js";

let acting = false;
let redraw = () => {};
const states = new Map(); // by key of the button: {is: "asked", "sent", "done" or "refused", target, cause, text}

// setActing says whether whoever looks may act, and what draws the page.
export const setActing = (is, draw) => [acting, redraw] = [is, draw];

function set(key, state) {
	states.set(key, state);
	redraw();
}

// action is a button for an action on a target, or nothing if nobody may act: with what is on it, what it asks, and whether a
// reason may be given.
export function action(name, target, label, question, reason) {
	if (!acting) return null;
	// Without what changes: the question stays with what was seen, and the server says that it is not that any more. A task
	// may be shown twice, with another label.
	const key = `${name} ${reason && label} ${JSON.stringify({ ...target, start: 0, incarnation: 0 })}`;
	const about = states.get(key);
	if (!about) return button(label, () => set(key, { is: "asked", target }), { key });
	const back = () => set(key, null);
	const done = about.is === "done";
	const mark = { key: key + " " + about.is, class: about.is, tabindex: "-1", focus: true };
	switch (about.is) {
	case "asked":
		return h("span.confirm", { key: mark.key, role: "group", "aria-label": question, onkeydown: (e) => e.key === "Escape" && back() },
			h("span", question),
			reason && h("input.cause", { placeholder: "why, for the log", maxlength: "200", oninput: (e) => { about.cause = e.target.value; } }),
			button(`Yes, ${label[0].toLowerCase()}${label.slice(1)}`, () => send(key, name, about), { class: "yes", focus: true }), button("No", back));
	case "sent":
		return h("span.outcome", mark, "…");
	}
	return h("span.outcome", mark, deco(done ? "✔ " : "✖ "), !done && "Refused: ", about.text, " ", button("×", back, { "aria-label": "Close this message" }));
}

// cancelTask is an action on a task by its reference; one without a number cannot be named.
export const cancelTask = ({ worker, incarnation, id, task }, label = "Cancel") => id
	? action("cancel-task", { worker, incarnation, task: id }, label, `Cancel ${task} of ${worker}?`, true) : null;

// ask fetches an answer, or {error}.
export async function ask(url, options) {
	try {
		const answer = await fetch(url, options);
		const body = await answer.json();
		return answer.ok ? body : { ...body, status: answer.status };
	} catch {
		return { error: "the process cannot be reached" };
	}
}

async function send(key, name, { target, cause }) {
	set(key, { is: "sent" });
	const { error, text } = await ask("api/act/" + name, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...target, cause: cause || undefined }) });
	set(key, error ? { is: "refused", text: error } : { is: "done", text });
}
