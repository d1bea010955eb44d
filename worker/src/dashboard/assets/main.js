// Which page is shown, and when it is looked again.

import { ask, LoggedOut } from "./ask.js";
import { auditPage } from "./audit.js";
import { h, list, write } from "./dom.js";
import { overviewPage } from "./overview.js";
import { salePage } from "./sale.js";
import { span } from "./words.js";

const EVERY_MS = 1000;
const HIDDEN_MS = 15_000;
const SLOWEST_MS = 15_000;
/** From so old a look on, what is shown is not how it stands. */
const OLD_MS = 8000;

const at = (id) => document.getElementById(id);
const main = at("main");
let page = null;
let timer = 0;
let failures = 0;
let name = null;

at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

/** The page of an address such as #/sale/1001. */
function pageOf(hash) {
  const [, where, sid] = hash.split("/");
  if (where === "sale" && sid) return ["overview", salePage(decodeURIComponent(sid), tools)];
  if (where === "audit") return ["audit", auditPage(tools)];
  return ["overview", overviewPage(tools)];
}

const tools = {
  /** Says what came of something. */
  say(text) {
    write(at("said"), "");
    setTimeout(() => write(at("said"), text), 50);
  },
  /** Looks at once. */
  again() {
    clearTimeout(timer);
    timer = setTimeout(look, 0);
  },
  name: () => name,
};

function show() {
  let word;
  try {
    [word, page] = pageOf(location.hash);
  } catch {
    location.hash = "#/";
    return;
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === word) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  main.replaceChildren(page.element);
  tools.again();
}

async function look() {
  clearTimeout(timer);
  const shown = page;
  try {
    const now = await ask(`now?since=${shown.since?.() ?? Date.now() * 2}`);
    servers(now);
    await shown.show(now);
    failures = 0;
    const old = now.now_ms - now.looked_ms;
    stale(old > OLD_MS ? `These figures are ${span(old)} old: a server does not answer.` : "");
  } catch (error) {
    if (error instanceof LoggedOut) return login(true);
    failures += 1;
    if (failures > 2) stale(`${error.message} These figures are old.`);
  }
  if (shown !== page) return;
  const slow = Math.min(EVERY_MS * 2 ** Math.min(failures, 5), SLOWEST_MS);
  timer = setTimeout(look, document.hidden ? HIDDEN_MS : slow);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && page) tools.again();
});
window.addEventListener("hashchange", () => {
  if (name !== null) show();
});

function stale(text) {
  at("stale").hidden = text === "";
  write(at("stale"), text);
}

function servers(now) {
  const all = [["Redis", now.redis], ["MySQL", now.mysql]];
  if (now.kafka) all.push(["Kafka", now.kafka]);
  for (const proxy of now.proxies) all.push([`Proxy ${proxy.address}`, proxy]);
  const make = () => h("li", {}, h("i", { "aria-hidden": "true" }), h("span"));
  list(at("servers"), all, ([name]) => name, make, (item, [name, server]) => {
    item.className = server.up ? "up" : "down";
    item.title = server.up ? `${name} answers` : server.reason;
    write(item.lastChild, server.up ? name : `${name} is away`);
  });
}

/** Asks for the token, and goes on where it was. */
function login(again = false) {
  name = null;
  page = null;
  clearTimeout(timer);
  at("servers").replaceChildren();
  at("who").replaceChildren();
  stale("");
  document.body.classList.add("outside");
  const wrong = h("p", { class: "wrong", role: "alert" });
  const who = h("input", { id: "name", name: "name", autocomplete: "username", required: true, maxlength: 64 });
  const token = h("input", { id: "token", name: "token", type: "password", autocomplete: "current-password", required: true });
  const enter = async (event) => {
    event.preventDefault();
    write(wrong, "");
    try {
      entered((await ask("login", { name: who.value, token: token.value })).name);
    } catch (error) {
      write(wrong, error.message);
      token.select();
    }
  };
  const form = h(
    "form", { class: "login card", onsubmit: enter },
    h("h1", {}, "Seckill"),
    h("p", {}, again ? "Your login has ended." : "The dashboard of your sales."),
    h("label", { for: "name" }, "Your name"), who,
    h("p", { class: "hint" }, "It stands in the audit log beside what you do."),
    h("label", { for: "token" }, "Token"), token,
    h("p", { class: "hint" }, "What admin.token in worker.toml leads to."),
    wrong,
    h("button", { class: "main" }, "Log in"),
  );
  main.replaceChildren(form);
  who.focus();
}

function entered(as) {
  name = as;
  document.body.classList.remove("outside");
  const leave = async () => {
    await ask("logout", {}).catch(() => {});
    login();
  };
  at("who").replaceChildren(h("span", {}, name), h("button", { onclick: leave }, "Log out"));
  show();
}

function unconfigured() {
  document.body.classList.add("outside");
  main.replaceChildren(
    h(
      "section", { class: "card login" },
      h("h1", {}, "The dashboard is off"),
      h("p", {}, "It shows sales and buyers, so it opens only with a token, and none is configured. On the machine of the worker:"),
      h("pre", {}, "openssl rand -hex 16 > /etc/seckill/dashboard-token\nchmod 640 /etc/seckill/dashboard-token"),
      h("p", {}, "In worker.toml, and then restart the worker:"),
      h("pre", {}, '[admin]\nlisten = "127.0.0.1:9102"\ntoken = { file = "/etc/seckill/dashboard-token" }'),
      h("p", {}, "/metrics, /livez and /readyz are there with or without it."),
    ),
  );
}

try {
  const session = await ask("session");
  if (!session.configured) unconfigured();
  else if (session.name === null) login();
  else entered(session.name);
} catch (error) {
  main.replaceChildren(h("p", { class: "wrong", role: "alert" }, error.message));
}
