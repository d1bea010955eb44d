// One buyer or one reservation, and everything that is known of it.

import { ask, ofSale } from "./ask.js";
import { h, write } from "./dom.js";
import { count, time, units } from "./words.js";

export function searchBox(sid) {
  const input = h("input", { id: "search", type: "search", required: true, maxlength: 128, placeholder: "buyer, or reservation such as 1763800000000-42", autocomplete: "off", spellcheck: "false" });
  const results = h("div", { class: "results", role: "status" });
  const find = async (event) => {
    event.preventDefault();
    results.replaceChildren(h("p", { class: "hint" }, "Looking …"));
    try {
      const found = await ask(ofSale(sid, "/search"), { text: input.value });
      results.replaceChildren(...show(found, input.value.trim()));
    } catch (error) {
      results.replaceChildren(h("p", { class: "wrong" }, error.message));
    }
  };
  return h(
    "section", { class: "card" },
    h("h2", {}, h("label", { for: "search" }, "Find a buyer or a reservation")),
    h("form", { class: "row", onsubmit: find }, input, h("button", { class: "main" }, "Find")),
    results,
  );
}

function show(found, text) {
  const parts = found.silent.map((who) => h("p", { class: "wrong" }, `Not asked: ${who}`));
  if (found.reservations.length === 0) {
    parts.push(h("p", {}, found.kind === "buyer" ? `${text} has no reservation in this sale.` : `There is no reservation ${text} in this sale.`));
  }
  parts.push(...found.reservations.map(reservation));
  if (found.more > 0) parts.push(h("p", { class: "hint" }, `… and ${count(found.more)} more reservations`));
  return parts;
}

function reservation(one) {
  const { module, order, refund } = one;
  const sides = [
    ["Redis", module ? module.state : "does not have it"],
    ["MySQL", order ? `${order.status}, order ${order.id}` : one.steps.length > 0 ? "has no order, see below" : "has no order"],
  ];
  const body = h("ol", { class: "history" }, history(one).map(([at, what, who]) => h("li", {}, h("time", {}, at ? time(at) : ""), h("span", {}, what), h("small", {}, who))));
  const differ = module && order && module.state !== order.status;
  return h(
    "article", { class: "reservation" },
    h("h3", {}, one.rid, " ", h("span", { class: `state ${module?.state ?? order?.status ?? ""}` }, module?.state ?? order?.status ?? "not known")),
    h("p", {}, `Buyer ${one.uid ?? "not known"}, ${units(one.qty ?? 0)}. `, sides.map(([side, text]) => `${side}: ${text}. `), differ ? h("b", { class: "wrong" }, "The two differ: one of them may be on its way.") : null, refund && refund.refunded_ms == null ? h("b", { class: "wrong" }, "A payment is to be refunded.") : null),
    body,
  );
}

/** Each step with its time and who made it. */
function history({ module, order, steps, refund }) {
  const lines = [];
  const granted = module?.at_ms ?? order?.created_ms;
  const deadline = module?.deadline_ms || order?.deadline_ms;
  if (granted) lines.push([granted, deadline ? `granted, held until ${time(deadline)}` : "granted, sold at once", "Redis"]);
  if (order) lines.push([order.created_ms, `order ${order.id} written`, "MySQL"]);
  for (const step of steps) {
    const note = step.note ? `: ${step.note}` : "";
    lines.push([step.at_ms, `${step.from ?? "no order"} → ${step.to}${note}`, `${step.who}, event ${step.event}`]);
  }
  if (refund) {
    lines.push([refund.due_ms, `a refund is due: ${refund.reason.replaceAll("_", " ")}`, "worker"]);
    if (refund.refunded_ms) lines.push([refund.refunded_ms, "refunded", "shop"]);
  }
  // The order's time is to the second: it is not before the decision.
  return lines.map((line, at) => [line, at]).toSorted(([a, i], [b, j]) => Math.floor(a[0] / 1000) - Math.floor(b[0] / 1000) || i - j).map(([line]) => line);
}
