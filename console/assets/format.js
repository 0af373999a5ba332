// SPDX-License-Identifier: Apache-2.0

// Numbers, times and levels in words.

const units = [[1e-6, 1e9, "ns"], [1e-3, 1e6, "µs"], [1, 1e3, "ms"], [60, 1, "s"]];

const two = (n) => String(Math.floor(n)).padStart(2, "0");

// span is a number of seconds: "3.2 s", "1 h 05 min".
export function span(s) {
	if (!s) return "0 s";
	if (s < 0) return "−" + span(-s);
	for (const [below, times, unit] of units) {
		const n = s * times;
		if (s < below) return (n < 9.95 ? n.toFixed(1).replace(/\.0$/, "") : Math.round(n)) + " " + unit;
	}
	if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
	if (s < 86400) return `${Math.floor(s / 3600)} h ${two((s % 3600) / 60)} min`;
	return `${Math.floor(s / 86400)} d ${two((s % 86400) / 3600)} h`;
}

// some is span for a cell: what is not there is a dash.
export const some = (s) => (s ? span(s) : "–");

const plain = new Intl.NumberFormat("en");

// count is a whole number with its thousands apart, or one to two digits if it is small.
export const count = (n) => (n === undefined || n === null ? "–" : plain.format(Math.abs(n) < 10 ? Math.round(n * 100) / 100 : Math.round(n)));

// many is a number with its word: "1 task", "41 tasks".
export const many = (n, word, words = word + "s") => `${count(n)} ${n === 1 ? word : words}`;

export const rate = (n) => count(n) + " /s";

export const percent = (share) => (share > 0 && share < 0.01 ? "<1" : Math.round(share * 100)) + " %";

export function bytes(n) {
	for (const unit of ["B", "kB", "MB"]) {
		if (n < 1000) return (n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)) + " " + unit;
		n /= 1000;
	}
	return n.toFixed(1) + " GB";
}

// clock is the time of day of a moment, with its date if that is not today.
export function clock(at) {
	const d = new Date(at);
	const time = d.toLocaleTimeString("en-GB");
	return d.toDateString() === new Date().toDateString() ? time : d.toLocaleDateString("en-CA") + " " + time;
}

// marks are the levels without color.
export const marks = { error: "✖", warning: "▲", note: "●", ok: "✔" };

// tidy is a name that the server has as one word or with underscores.
export const tidy = (name) => name.replaceAll("_", " ");
