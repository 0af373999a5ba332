// SPDX-License-Identifier: Apache-2.0

// Elements as values: a page says with h() what there is to be, and render() makes it so, with few changes. A text stays
// a text: nothing here makes markup or code of one.

import { count } from "./format.js";

const svgSpace = "http://www.w3.org/2000/svg";

// h describes an element: h("td.num", {props}, kids…), where classes and props may be missing. Properties are attributes,
// but for those that begin with "on", which are functions, key (what the element is of: it moves with that), class (more
// classes, or false), vars (custom properties of CSS) and focus (true: it gets the focus when it is made). Kids may be
// lists; those that are null, false or "" are left out, and numbers are shown as count does.
export function h(name, ...kids) {
	const [tag, ...classes] = name.split(".");
	const props = kids[0]?.constructor === Object && !kids[0].tag ? kids.shift() : {};
	props.class = classes.concat(props.class || []).join(" ") || null;
	return { tag, props, kids: kids.flat(Infinity).filter((k) => k || k === 0) };
}

// render makes what is in parent so. The focus stays where it is, also if its row moves.
export function render(parent, ...kids) {
	const focused = document.activeElement;
	const wanted = [];
	patch(parent, h("x", ...kids).kids, false, wanted);
	if (wanted.length) wanted.at(-1).focus();
	else if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function patch(parent, kids, svg, wanted) {
	const keys = new Set(kids.map((k) => k.props?.key));
	const keyed = new Map();
	for (const n of [...parent.childNodes]) {
		if (n.vkey === undefined) continue;
		if (keys.has(n.vkey)) keyed.set(n.vkey, n);
		else n.remove();
	}
	let at = parent.firstChild;
	for (const kid of kids) {
		if (typeof kid !== "object") {
			const text = typeof kid === "number" ? count(kid) : kid.replace(/[^\P{C}\n\t]/gu, "�"); // what turns text around
			if (at?.nodeType === Node.TEXT_NODE) {
				if (at.data !== text) at.data = text;
				at = at.nextSibling;
			} else parent.insertBefore(document.createTextNode(text), at);
			continue;
		}
		const { tag, props } = kid;
		const inSVG = svg || tag === "svg";
		let node = props.key === undefined ? at : keyed.get(props.key);
		keyed.delete(props.key);
		if (node?.vtag !== tag || node.vkey !== props.key) {
			node = inSVG ? document.createElementNS(svgSpace, tag) : document.createElement(tag);
			Object.assign(node, { vtag: tag, vkey: props.key, vprops: {} });
			if (props.focus) wanted.push(node);
		}
		if (node === at) at = at.nextSibling;
		else parent.insertBefore(node, at);
		setProps(node, props);
		patch(node, kid.kids, inSVG, wanted);
	}
	while (at) {
		const next = at.nextSibling;
		at.remove();
		at = next;
	}
}

function setProps(node, props) {
	const old = node.vprops;
	node.vprops = props;
	for (const name in { ...old, ...props }) {
		const value = props[name];
		if (value === old[name] || name === "key" || name === "focus") continue;
		if (name.startsWith("on")) node[name] = value ?? null;
		else if (name === "vars") for (const v in value) node.style.setProperty("--" + v, value[v]);
		else if (name === "value") {
			if (node !== document.activeElement) node.value = value ?? "";
		} else if (value === undefined || value === null || value === false) node.removeAttribute(name);
		else node.setAttribute(name, value === true ? "" : value);
	}
}
