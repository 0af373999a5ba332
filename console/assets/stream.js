// SPDX-License-Identifier: Apache-2.0

// The stream of server-sent events, which comes back by itself.

// openStream calls on.view, on.gone, on.log with what comes, on.lost with why nothing comes, and on.again when it
// is there again.
export function openStream(query, on) {
	let source, timer, wait = 1000, closed = false, wasLost = false;
	const begin = () => {
		source = new EventSource("api/stream?" + query);
		source.addEventListener("view", (e) => on.view(JSON.parse(e.data)));
		source.addEventListener("gone", (e) => on.gone(JSON.parse(e.data).error));
		source.addEventListener("log", (e) => {
			const record = JSON.parse(e.data);
			query.set("after", record.id); // what comes next, if it has to begin anew
			on.log(record);
		});
		source.onopen = () => {
			wait = 1000;
			if (wasLost) on.again();
			wasLost = false;
		};
		source.onerror = async () => {
			if (closed) return;
			wasLost = true;
			on.lost("the process cannot be reached");
			if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
			source.close();
			clearTimeout(timer);
			timer = setTimeout(begin, wait);
			wait = Math.min(2 * wait, 10000);
			const why = await whyNot(query);
			if (why && !closed && wasLost) {
				on.lost(why.text);
				if (why.gone) on.gone(why.text);
			}
		};
	};
	begin();
	return {
		close() {
			closed = true;
			clearTimeout(timer);
			source.close();
		},
	};
}

// whyNot asks for the page itself: an EventSource does not say what the answer was.
async function whyNot(query) {
	try {
		const q = new URLSearchParams(query);
		const page = q.get("page");
		for (const k of ["page", "interval", "after"]) q.delete(k);
		const answer = await fetch(`api/${page}?${q}`);
		if (answer.ok) return { text: "the server has no place for another page" };
		return { text: (await answer.json()).error, gone: answer.status === 404 };
	} catch {
		return null;
	}
}
