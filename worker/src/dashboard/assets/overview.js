// All sales.

import { warm } from "./act.js";
import { chart, grow } from "./chart.js";
import { h, list, write } from "./dom.js";
import { clock, count, rate, span, state, VERDICTS, waitsFor } from "./words.js";

export function overviewPage(tools) {
  let points = [];
  const tries = chart({ title: "Tries a second, all sales", series: VERDICTS, stacked: true, value: rate });
  const tiles = h("dl", { class: "tiles" });
  const troubles = h("ul", { class: "troubles" });
  const sales = h("div", { class: "sales" });
  const none = h("p", { class: "hint" }, "There is no sale in Redis yet.");
  const element = h(
    "div", { class: "page" },
    h("h1", { class: "hidden" }, "Sales"),
    troubles, tiles,
    h("section", { class: "card" }, h("div", { class: "row" }, h("h2", {}, "Sales"), h("button", { onclick: () => warm(tools) }, "Warm a sale …")), none, sales),
    h("section", { class: "card" }, tries.figure),
  );
  return {
    element,
    since: () => points.at(-1)?.at ?? 0,
    show(now) {
      points = grow(points, now);
      const latest = points.at(-1);
      const live = now.sales.filter((sale) => sale.units);
      const sum = (number) => live.reduce((all, sale) => all + number(sale), 0);
      const waiting = sum((sale) => sale.without_order?.count ?? 0);
      const oldest = Math.max(0, ...live.map((sale) => sale.without_order?.ms ?? 0));
      const drift = sum((sale) => Math.abs(sale.drift ?? 0));
      const total = latest ? VERDICTS.reduce((all, [key]) => all + latest[key], 0) : null;
      tile(tiles, "Tries a second", rate(total));
      tile(tiles, "Accepted a second", rate(latest?.accepted));
      tile(tiles, "Acceptances without an order", count(waiting), waiting > 0 ? `the oldest ${span(oldest)}` : "", oldest > 10_000);
      tile(tiles, "Drift", count(drift), "units, Redis against MySQL", drift > 0);
      if (now.kafka) tile(tiles, "Dead letters", count(now.dead_letters), "that nobody dealt with", now.dead_letters > 0);
      none.hidden = now.sales.length > 0;
      list(sales, now.sales, (sale) => sale.sid, makeSale, (row, sale) => showSale(row, sale, now));
      const wrong = troublesOf(now);
      list(troubles, wrong, (text) => text, (text) => h("li", {}, text), () => {});
      troubles.hidden = wrong.length === 0;
      tries.show(points, now.now_ms);
    },
  };
}

/** One figure that is read from across the room. */
export function tile(tiles, name, number, more = "", bad = false) {
  let box = [...tiles.children].find((child) => child.dataset.name === name);
  if (!box) {
    box = h("div", { "data-name": name }, h("dt", {}, name), h("dd"), h("dd", { class: "more" }));
    tiles.append(box);
  }
  box.classList.toggle("bad", bad);
  write(box.children[1], number);
  write(box.children[2], more);
}

/** What is wrong, in whole sentences. */
function troublesOf(now) {
  const wrong = [];
  for (const [name, server] of [["Redis", now.redis], ["MySQL", now.mysql], ["Kafka", now.kafka]]) {
    if (server && !server.up) wrong.push(`${name} is away: ${server.reason}`);
  }
  for (const proxy of now.proxies) {
    if (!proxy.up) wrong.push(`Proxy ${proxy.address}: ${proxy.reason}`);
  }
  if (now.dead_letters > 0) {
    wrong.push(`Dead letters: ${count(now.dead_letters)}. What they are: seckill-worker dead list`);
  }
  if (now.refusals_owed > 0) {
    wrong.push(`MySQL refused ${count(now.refusals_owed)} reservations that Redis has not cancelled yet.`);
  }
  for (const sale of now.sales) {
    for (const text of sale.wrong) wrong.push(`Sale ${sale.sid}: ${text}`);
  }
  for (const [kind, n] of Object.entries(now.alarms)) {
    if (n > 0) wrong.push(`Alarms of kind ${kind} since this worker began: ${count(n)}. Its log says what to do.`);
  }
  return wrong;
}

function makeSale(sale) {
  return h(
    "a", { class: "sale", href: `#/sale/${encodeURIComponent(sale.sid)}` },
    h("span", { class: "name" }),
    h("span", { class: "state" }),
    h("span", { class: "left" }),
    h("span", { class: "bar" }, h("i", { class: "sold" }), h("i", { class: "held" }), h("i", { class: "available" })),
    h("span", { class: "units" }),
    h("span", { class: "rates" }),
  );
}

function showSale(row, sale, now) {
  const [name, word, left, bar, units, rates] = row.children;
  write(name, sale.name ? `${sale.name} · ${sale.sid}` : sale.sid);
  write(word, state(sale.state));
  word.className = `state ${sale.state}`;
  const waits = waitsFor(sale);
  write(left, waits ? `${waits[0]} ${clock(waits[1] - sale.clock_ms - (now.now_ms - now.looked_ms))}` : "");
  showBar(bar, sale.units);
  const { available, held, sold, total } = sale.units ?? {};
  write(units, sale.units ? `${count(available)} of ${count(total)} available, ${count(held)} held, ${count(sold)} sold` : "");
  const all = VERDICTS.reduce((sum, [key]) => sum + sale.a_second[key], 0);
  write(rates, sale.units ? `${rate(all)} tries/s, ${rate(sale.a_second.accepted)} accepted/s` : "");
  row.classList.toggle("bad", sale.wrong.length > 0);
}

/** The units of a sale, side by side. */
export function showBar(bar, units) {
  const { available = 0, held = 0, sold = 0, total = 0 } = units ?? {};
  const parts = [sold, held, available];
  parts.forEach((n, at) => {
    bar.children[at].style.flexGrow = total > 0 ? n / total : 0;
  });
  bar.title = `${count(sold)} sold, ${count(held)} held, ${count(available)} available`;
}
