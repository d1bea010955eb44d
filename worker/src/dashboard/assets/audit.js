// Who did what.

import { ask, ofSale } from "./ask.js";
import { h, list, write } from "./dom.js";
import { time } from "./words.js";

const EVERY_MS = 3000;

export function auditPage() {
  const lines = auditLines(null);
  const element = h("div", { class: "page" }, h("h1", {}, "Audit log"), h("section", { class: "card" }, lines.element));
  return { element, show: () => lines.show() };
}

/** The latest lines, of one sale or of all. */
export function auditLines(sid) {
  let next = 0;
  const body = h("tbody");
  const none = h("p", { class: "hint" }, "Nobody has done anything here yet.");
  const head = ["When", "Who", "Did", sid === null ? "Sale" : null, "What came of it"];
  const table = h("table", { class: "audit" }, h("thead", {}, h("tr", {}, head.filter(Boolean).map((word) => h("th", { scope: "col" }, word)))), body);
  return {
    element: h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Audit log" }, none, table),
    async show() {
      if (Date.now() < next) return;
      next = Date.now() + EVERY_MS;
      let all = await ask(sid === null ? "audit" : ofSale(sid, "/audit"));
      if (sid !== null) all = all.slice(0, 20);
      none.hidden = all.length > 0;
      table.hidden = all.length === 0;
      const columns = sid === null ? 5 : 4;
      const make = () => h("tr", {}, Array.from({ length: columns }, () => h("td")));
      list(body, all, (line) => line.id, make, (row, line) => {
        const came = line.done === null ? "not known: the worker ended meanwhile" : line.outcome;
        const cells = [time(line.at_ms), line.who, line.what, sid === null ? (line.sale ?? "all") : null, came];
        cells.filter((cell) => cell !== null).forEach((text, at) => write(row.children[at], text));
        row.children[1].title = `from ${line.peer}`;
        row.classList.toggle("bad", line.done === false);
      });
    },
  };
}
