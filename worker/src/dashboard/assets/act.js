// What people do to a sale. Each is asked for once more before it is done.

import { ask, ofSale } from "./ask.js";
import { h, write } from "./dom.js";
import { count, units } from "./words.js";

/**
 * A dialog with a text, maybe with inputs, and the button that does it. `act` gets the form's values;
 * what it throws is shown, and the dialog stays.
 */
function confirm({ title, text, inputs = [], button, danger = false, act }) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const yes = h("button", { class: danger ? "danger main" : "main" }, button);
  const dialog = h("dialog", { "aria-labelledby": "asked" });
  const go = async (event) => {
    event.preventDefault();
    write(wrong, "");
    yes.disabled = true;
    try {
      await act(Object.fromEntries(new FormData(form)));
      dialog.close();
    } catch (error) {
      write(wrong, error.message);
    }
    yes.disabled = false;
  };
  const form = h(
    "form", { onsubmit: go },
    h("h2", { id: "asked" }, title),
    [text].flat().map((line) => h("p", {}, line)),
    inputs,
    wrong,
    h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Leave it"), yes),
  );
  dialog.append(form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function field(name, label, attributes = {}) {
  return h("p", { class: "field" }, h("label", { for: `ask-${name}` }, label), h("input", { id: `ask-${name}`, name, ...attributes }));
}

async function act(sid, body, tools, said) {
  const done = await ask(ofSale(sid, "/act"), body);
  const where = done.audited ? "It is in the audit log." : "MySQL did not answer: only the worker's log has it.";
  tools.say(`${said} ${where}`);
  tools.again();
}

const called = (sale) => (sale.name ? `${sale.name} (${sale.sid})` : `sale ${sale.sid}`);

export function pause(sale, tools) {
  confirm({
    title: `Pause ${called(sale)}?`,
    text: "Nobody gets a unit until somebody resumes it. What is held stays held, and can be paid for.",
    button: "Pause",
    act: () => act(sale.sid, { do: "pause" }, tools, `${called(sale)} is paused.`),
  });
}

export function resume(sale, tools) {
  const fenced = sale.state === "fenced";
  confirm({
    title: `Resume ${called(sale)}?`,
    text: fenced
      ? [
          "It is fenced: a Redis took over that may lack the last reservations. The fence falls by itself when MySQL was compared.",
          "Resume it by hand only if you have compared both sides: else units may be promised twice, and MySQL refuses those orders.",
        ]
      : "It sells again at once.",
    button: fenced ? "Resume in spite of the fence" : "Resume",
    danger: fenced,
    act: () => act(sale.sid, { do: "resume" }, tools, `${called(sale)} sells again.`),
  });
}

export function restock(sale, tools) {
  const { available, total } = sale.units ?? {};
  const most = available ?? 0;
  confirm({
    title: `Restock ${called(sale)}`,
    text: `It has ${units(total)}, of which ${count(available)} are available. A number below zero takes unsold units away, at most ${count(most)}.`,
    inputs: [field("delta", "Units to add", { type: "number", required: true, step: 1, min: -most, autofocus: true })],
    button: "Restock",
    act: ({ delta }) => act(sale.sid, { do: "restock", delta: Number(delta) }, tools, `${called(sale)}: ${Number(delta) < 0 ? "" : "+"}${count(Number(delta))} units.`),
  });
}

export function close(sale, tools) {
  confirm({
    title: `Close ${called(sale)} for good?`,
    text: "Nothing new is accepted, and a closed sale is never opened again. What is held can still be paid for until it lapses.",
    inputs: [field("typed", `Type ${sale.sid} to go on`, { required: true, pattern: sale.sid.replace(/[^\w]/g, "\\$&"), autocomplete: "off", autofocus: true })],
    button: "Close it for good",
    danger: true,
    act: ({ typed }) => {
      if (typed !== sale.sid) throw new Error(`Expected ${sale.sid}.`);
      return act(sale.sid, { do: "close" }, tools, `${called(sale)} is closed.`);
    },
  });
}

export function warm(tools) {
  const known = h("datalist", { id: "stock-rows" });
  // The dialog does not wait for MySQL: without its rows the number can still be typed.
  const rows = ask("stock").catch(() => []);
  rows.then((stock) => known.append(...stock.map((row) => h("option", { value: row.id }, `${row.name}: ${count(row.count - row.sale)} of ${count(row.count)} left`))));
  const number = { type: "number", min: 0, step: 1 };
  confirm({
    title: "Warm a sale",
    text: "Makes a sale in Redis out of a stock row in MySQL. A sale that exists is left alone. What you leave empty is taken from stock_sale, or is the default.",
    inputs: [
      known,
      field("sid", "Number of the stock row", { required: true, list: "stock-rows", pattern: "[0-9]+", inputmode: "numeric", autofocus: true }),
      field("limit", "Units a buyer may have (1; 0: no limit)", number),
      field("hold", "Held unpaid for, in minutes (15; 0: sold at once)", { ...number, step: "any" }),
      field("start", "Starts at (at once)", { type: "datetime-local", step: 1 }),
      field("end", "Ends at (never)", { type: "datetime-local", step: 1 }),
      field("rate", "Accepted a second at most (0: no limit)", number),
    ],
    button: "Warm",
    act: async (given) => {
      const body = { do: "warm" };
      const put = (key, text, read) => {
        if (text !== "") body[key] = read(text);
      };
      put("limit", given.limit, Number);
      put("hold_ms", given.hold, (minutes) => Math.round(Number(minutes) * 60_000));
      put("start_ms", given.start, (at) => new Date(at).getTime());
      put("end_ms", given.end, (at) => new Date(at).getTime());
      put("rate", given.rate, Number);
      await act(given.sid, body, tools, `Sale ${given.sid} is in Redis.`);
      await seen(given.sid);
      location.hash = `#/sale/${given.sid}`;
    },
  });
}

/** Waits until the worker has looked, so that there is something to show. */
async function seen(sid) {
  for (let look = 0; look < 20; look += 1) {
    const now = await ask(`now?since=${Date.now() * 2}`);
    if (now.sales.some((sale) => sale.sid === sid)) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Compares first, shows what differs, and mends it if somebody says so. */
export function reconcile(sid, tools) {
  const body = h("div", { class: "compared" }, h("p", {}, "Comparing Redis, Kafka and MySQL. It takes some seconds, and longer for many reservations …"));
  const leave = h("button", { onclick: () => dialog.close() }, "Leave it");
  const apply = h("button", { class: "main", hidden: true }, "Apply");
  const dialog = h("dialog", { class: "wide", "aria-labelledby": "compared" }, h("h2", { id: "compared" }, `Reconcile sale ${sid}`), body, h("div", { class: "buttons" }, leave, apply));
  const run = async (mend) => {
    apply.disabled = true;
    try {
      const { lines, audited } = await ask("reconcile", { sid, apply: mend });
      body.replaceChildren(...compared(lines, mend));
      const mendable = lines.filter((line) => line.by === "apply").length;
      apply.hidden = mend || mendable === 0;
      write(apply, `Apply ${count(mendable)} ${mendable === 1 ? "step" : "steps"}`);
      if (!audited) body.append(h("p", { class: "hint" }, "MySQL did not answer: only the worker's log has who asked."));
    } catch (error) {
      body.replaceChildren(h("p", { class: "wrong", role: "alert" }, error.message));
    }
    write(leave, "Done");
    apply.disabled = false;
    tools.again();
  };
  apply.addEventListener("click", () => run(true));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  run(false);
}

function compared(lines, mended) {
  const parts = lines.filter((line) => line.kind === "difference").map((line) =>
    h("article", { class: "difference" }, h("p", {}, line.what), line.by === "apply" ? h("p", { class: "hint" }, `${mended ? "Done" : "Apply does"}: ${line.step}`) : [h("p", { class: "hint" }, "For a person:"), line.commands.map((command) => h("pre", {}, command))]),
  );
  parts.push(...lines.filter((line) => line.kind === "failed").map((line) => h("p", { class: "wrong" }, `Could not be looked at: ${line.reason}`)));
  const way = lines.find((line) => line.kind === "summary")?.on_their_way ?? 0;
  if (parts.length === 0) parts.push(h("p", {}, "Nothing differs: each reservation has its order, and the units are the same everywhere."));
  if (way > 0) parts.push(h("p", { class: "hint" }, `${count(way)} are on their way and were not judged: compare once more later.`));
  return parts;
}
