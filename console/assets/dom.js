// SPDX-License-Identifier: Apache-2.0

// Elements as values: a page says with h() what there is to be, and patch() makes it so, with as few changes as
// it can. A text stays a text: nothing here makes markup or code of one.

const svgSpace = "http://www.w3.org/2000/svg";

// h describes an element: h("td.num", {props}, kids…), where classes and props may be missing. Properties that begin
// with "on" are functions. Others are attributes, but for these: key (what the element is of: it moves with that), vars (custom properties of CSS), open (only when it is made),
// focus (true: it gets the focus when it is made).
export function h(name, ...kids) {
	const [tag, ...classes] = name.split(".");
	let props = {};
	if (kids[0]?.constructor === Object && !kids[0].tag) props = kids.shift();
	if (classes.length) props.class = classes.concat(props.class ?? []).join(" ");
	return { tag, props, kids: kids.flat(Infinity).filter((k) => k !== null && k !== undefined && k !== false && k !== "") };
}

// render makes what is in parent so. The focus stays where it is, also if its row moves.
export function render(parent, ...kids) {
	const focused = document.activeElement;
	const wanted = [];
	patch(parent, h("x", ...kids).kids, parent.namespaceURI === svgSpace, wanted);
	if (wanted.length) {
		wanted.at(-1).focus();
	} else if (focused && focused !== document.activeElement && focused.isConnected) {
		focused.focus({ preventScroll: true });
	}
}

function patch(parent, kids, svg, wanted) {
	const keys = new Set(kids.map((k) => k.props?.key).filter((k) => k !== undefined));
	const keyed = new Map();
	for (const n of [...parent.childNodes]) {
		if (n.vkey === undefined) continue;
		if (keys.has(n.vkey)) keyed.set(n.vkey, n);
		else n.remove();
	}
	let at = parent.firstChild;
	for (const kid of kids) {
		if (typeof kid !== "object") {
			if (at?.nodeType === Node.TEXT_NODE) {
				if (at.data !== String(kid)) at.data = kid;
				at = at.nextSibling;
			} else {
				parent.insertBefore(document.createTextNode(kid), at);
			}
			continue;
		}
		const { tag, props } = kid;
		const inSVG = svg || tag === "svg";
		let node = props.key === undefined ? at : keyed.get(props.key);
		keyed.delete(props.key);
		if (node?.vtag !== tag || node.vkey !== props.key) node = null;
		if (node && node === at) {
			at = at.nextSibling;
		} else if (node) {
			parent.insertBefore(node, at);
		} else {
			node = inSVG ? document.createElementNS(svgSpace, tag) : document.createElement(tag);
			node.vtag = tag;
			node.vkey = props.key;
			node.vprops = {};
			if (props.open) node.open = true;
			if (props.focus) wanted.push(node);
			parent.insertBefore(node, at);
		}
		setProps(node, props);
		patch(node, kid.kids, inSVG, wanted);
	}
	while (at) {
		const next = at.nextSibling;
		at.remove();
		at = next;
	}
}

const special = new Set(["key", "open", "focus"]);

function setProps(node, props) {
	const old = node.vprops;
	for (const name in old) {
		if (!(name in props)) setProp(node, name, undefined);
	}
	for (const name in props) {
		if (!special.has(name) && props[name] !== old[name]) setProp(node, name, props[name]);
	}
	node.vprops = props;
}

function setProp(node, name, value) {
	if (name.startsWith("on")) node[name] = value ?? null;
	else if (name === "vars") for (const v in value ?? {}) node.style.setProperty("--" + v, value[v]);
	else if (name === "value") {
		if (node !== document.activeElement) node.value = value ?? "";
	} else if (value === undefined || value === null || value === false) node.removeAttribute(name);
	else node.setAttribute(name, value === true ? "" : value);
}
