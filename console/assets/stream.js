// SPDX-License-Identifier: Apache-2.0

// The stream of server-sent events, which comes back by itself.

import { ask } from "./act.js";

// openStream calls on.view, on.gone, on.log with what comes, on.lost with why nothing comes, and on.again when it
// is there again. It returns what ends it.
export function openStream(query, on) {
	let source, timer, wait = 1000, closed = false, lost = false;
	const begin = () => {
		source = new EventSource("api/stream?" + query);
		const listen = (kind, f) => source.addEventListener(kind, (e) => f(JSON.parse(e.data)));
		listen("view", on.view);
		listen("gone", (answer) => on.gone(answer.error));
		listen("log", (record) => {
			query.set("since", record.id); // what comes next, if it has to begin anew
			on.log(record);
		});
		source.onopen = () => {
			wait = 1000;
			if (lost) on.again();
			lost = false;
		};
		source.onerror = async () => {
			const refused = source.readyState === EventSource.CLOSED; // by an answer, which it does not tell
			source.close();
			lost = true;
			timer = setTimeout(begin, wait);
			wait = Math.min(2 * wait, 10000);
			on.lost("the process cannot be reached");
			if (!refused) return;
			const { error = "the server has no place for another page", status } = await ask(`api/${query.get("page")}?${query}`);
			if (closed || !lost) return;
			on.lost(error);
			if (status === 404) on.gone(error);
		};
	};
	begin();
	return () => {
		closed = true;
		clearTimeout(timer);
		source.close();
	};
}
