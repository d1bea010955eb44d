// One sale.

import { close, pause, reconcile, restock, resume } from "./act.js";
import { ask, ofSale } from "./ask.js";
import { auditLines } from "./audit.js";
import { chart, grow } from "./chart.js";
import { h, list, write } from "./dom.js";
import { showBar } from "./overview.js";
import { searchBox } from "./search.js";
import { clock, count, rate, span, state, VERDICTS, waitsFor } from "./words.js";

const FUNNEL_MS = 5000;
const UNITS = [["sold", "sold"], ["held", "held"], ["available", "available"]];

export function salePage(sid, tools) {
  let points = [];
  let sale = null;
  let ends = null;
  let funnelAt = 0;
  let orders = null;
  const title = h("h1", {}, `Sale ${sid}`);
  const word = h("span", { class: "state" });
  const left = h("span", { class: "left" });
  const big = h("dl", { class: "big" }, UNITS.toReversed().map(([key, label]) => h("div", { class: key }, h("dt", {}, label), h("dd", {}, "–"))));
  const bar = h("div", { class: "bar large" }, h("i", { class: "sold" }), h("i", { class: "held" }), h("i", { class: "available" }));
  const total = h("p", { class: "hint" });
  const troubles = h("ul", { class: "troubles" });
  const steps = h("dl", { class: "steps" });
  const funnel = h("div", { class: "funnel" });
  const tries = chart({ title: "Tries a second", series: VERDICTS, stacked: true, value: rate });
  const units = chart({ title: "Units", series: UNITS, stacked: true, value: count });
  const late = chart({ title: "Oldest acceptance without an order", series: [["late_ms", "age"]], value: span, height: 160 });
  const audit = auditLines(sid);
  const buttons = {
    pause: h("button", { onclick: () => pause(sale, tools) }, "Pause …"),
    resume: h("button", { onclick: () => resume(sale, tools) }, "Resume …"),
    restock: h("button", { onclick: () => restock(sale, tools) }, "Restock …"),
    reconcile: h("button", { onclick: () => reconcile(sale.sid, tools) }, "Reconcile …"),
    close: h("button", { class: "danger", onclick: () => close(sale, tools) }, "Close …"),
  };
  const missing = h("p", { class: "wrong", role: "alert" });
  const found = h(
    "div", { class: "page", hidden: true },
    troubles,
    h("section", { class: "card hero" }, h("div", { class: "row" }, word, left), big, bar, total, h("div", { class: "buttons" }, Object.values(buttons))),
    h("section", { class: "card" }, tries.figure),
    h("div", { class: "two" }, h("section", { class: "card" }, units.figure), h("section", { class: "card" }, h("h2", {}, "What became of the tries"), funnel)),
    h("section", { class: "card" }, h("h2", {}, "From Redis to the orders"), steps, late.figure),
    searchBox(sid),
    h("section", { class: "card" }, h("h2", {}, "Audit log of this sale"), audit.element),
  );
  const element = h("div", { class: "page" }, h("p", { class: "way" }, h("a", { href: "#/" }, "← All sales")), title, missing, found);

  const tick = setInterval(() => {
    if (!element.isConnected) return clearInterval(tick);
    write(left, ends ? `${ends[0]} ${clock(ends[1] - performance.now())}` : "");
  }, 250);

  async function lookAtFunnel() {
    if (Date.now() < funnelAt) return;
    funnelAt = Date.now() + FUNNEL_MS;
    orders = await ask(ofSale(sid, "/funnel")).catch(() => null);
  }

  return {
    element,
    async show() {
      const asked = performance.now();
      let now;
      try {
        now = await ask(`${ofSale(sid)}?since=${points.at(-1)?.at ?? 0}`);
        write(missing, "");
      } catch (error) {
        if (sale === null) write(missing, error.message);
        throw error;
      }
      sale = now.sale;
      found.hidden = false;
      points = grow(points, now);
      write(title, sale.name ? `${sale.name} · ${sale.sid}` : `Sale ${sale.sid}`);
      write(word, state(sale.state));
      word.className = `state ${sale.state}`;
      const waits = waitsFor(sale);
      // Its node's clock counts, and not this machine's.
      ends = waits && [waits[0], asked + waits[1] - (sale.clock_ms + now.now_ms - now.looked_ms)];
      for (const box of big.children) write(box.lastChild, count(sale.units?.[box.className]));
      showBar(bar, sale.units);
      write(total, termsOf(sale));
      list(troubles, sale.wrong, (text) => text, (text) => h("li", {}, text), () => {});
      troubles.hidden = sale.wrong.length === 0;
      const { state: word_ } = sale;
      buttons.pause.hidden = ["paused", "fenced", "closed", "none", "unknown"].includes(word_);
      buttons.resume.hidden = !["paused", "fenced"].includes(word_);
      buttons.restock.hidden = buttons.close.hidden = ["closed", "none", "unknown"].includes(word_);
      showSteps(steps, sale);
      tries.show(points, now.now_ms);
      units.show(points, now.now_ms);
      late.show(points, now.now_ms);
      await Promise.all([lookAtFunnel(), audit.show()]);
      showFunnel(funnel, sale, orders);
    },
  };
}

/** What the sale allows, in a line. */
function termsOf(sale) {
  if (!sale.units) return "";
  const { limit, hold_ms: hold, rate: most, user_rate: user } = sale.options;
  const parts = [`of ${count(sale.units.total)} units`];
  parts.push(limit > 0 ? `${count(limit)} a buyer` : "no limit a buyer");
  parts.push(hold > 0 ? `held for ${span(hold)} until they are paid` : "sold at once");
  if (most > 0) parts.push(`at most ${count(most)} accepted a second`);
  if (user > 0) parts.push(`${count(user)} tries a second from one buyer`);
  return parts.join(" · ");
}

function showSteps(steps, sale) {
  const said = (lag) => (!lag ? "not known" : lag.count === 0 ? "nothing waits" : `${count(lag.count)} events wait, the oldest for ${span(lag.ms)}`);
  const rows = [];
  if (sale.to_kafka) rows.push(["Redis → Kafka", said(sale.to_kafka), sale.to_kafka.ms > 10_000]);
  rows.push([sale.to_kafka ? "Kafka → MySQL" : "Redis → MySQL", said(sale.to_mysql), sale.to_mysql?.ms > 10_000]);
  const waiting = sale.without_order;
  rows.push(["Acceptances without an order", waiting ? `${count(waiting.count)}${waiting.count > 0 ? `, the oldest for ${span(waiting.ms)}` : ""}` : "not known", waiting?.ms > 10_000]);
  rows.push(["Orders in MySQL", `${count(sale.orders)} of ${count(sale.reservations)} reservations`, false]);
  const drift = sale.drift;
  rows.push(["Drift", drift == null ? "cannot be said while something is on its way" : drift === 0 ? "none: Redis and MySQL agree" : `${count(drift)} units more in Redis than in MySQL`, Boolean(drift)]);
  const make = () => h("div", {}, h("dt"), h("dd"));
  list(steps, rows, ([name]) => name, make, (row, [name, text, bad]) => {
    row.classList.toggle("bad", bad);
    write(row.firstChild, name);
    write(row.lastChild, text);
  });
}

/** Two groups: of all tries, and of what was accepted. */
function showFunnel(funnel, sale, orders) {
  const seen = Object.values(sale.tries).reduce((sum, n) => sum + n, 0);
  const edge = Object.values(sale.at_the_edge).reduce((sum, n) => sum + n, 0);
  const rows = [["Tries seen", seen, seen, "seen"]];
  for (const [key, label] of VERDICTS.slice(1)) {
    if (sale.tries[key] > 0 || ["limited", "soldout"].includes(key)) rows.push([`… ${label}`, sale.tries[key], seen, key]);
  }
  rows.push(["Accepted", sale.reservations, seen, "accepted"]);
  if (orders) {
    const all = Object.values(orders.orders).reduce((sum, n) => sum + n, 0);
    for (const [key, label] of [["held", "held, not paid yet"], ["confirmed", "paid"], ["expired", "expired unpaid"], ["cancelled", "cancelled"], ["refused", "refused by MySQL"]]) {
      const n = orders.orders[key] ?? 0;
      if (n > 0 || ["held", "confirmed", "expired"].includes(key)) rows.push([`Orders ${label}`, n, all, key === "confirmed" ? "sold" : key]);
    }
  }
  const make = () => h("div", {}, h("span"), h("b"), h("span", { class: "share" }, h("i")), h("small"));
  list(funnel, rows, ([name]) => name, make, (row, [name, n, all, colour]) => {
    write(row.children[0], name);
    write(row.children[1], count(n));
    row.children[2].firstChild.className = colour;
    const share = all > 0 ? Math.min(1, n / all) : 0;
    row.children[2].firstChild.hidden = n === 0;
    row.children[2].firstChild.style.width = `${share * 100}%`;
    write(row.children[3], n > 0 && n !== all ? `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %` : "");
  });
  funnel.title = edge > 0 ? `${count(edge)} of the tries were answered by proxies alone` : "";
}
