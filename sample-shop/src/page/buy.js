// Buys for whoever looks at the page. What it knows are the proxy's answers: to a GET of how the sale
// stands, to a POST of the page's own path, which buys, and to a GET of the reservation that came of it.
'use strict';

const path = location.pathname;
const on = (name) => document.getElementById(name);

// How often a reservation is looked at while it is held, and a sale while somebody waits for it; and how
// long an answer may take.
const LOOK_EVERY_MS = 10_000;
const WATCH_EVERY_MS = 30_000;
const PATIENCE_MS = 40_000;

// What has to outlive a reload: the key of the purchase, whether the buyer still wants it, and his
// reservation. With the same key he gets the same reservation, however often he asks.
const memory = {
  name: `purchase ${path}`,
  read() {
    try {
      return JSON.parse(localStorage.getItem(this.name)) ?? {};
    } catch {
      return {};
    }
  },
  write() {
    try {
      localStorage.setItem(this.name, JSON.stringify(purchase));
    } catch {
      // A browser that keeps nothing knows it until the page is left.
    }
  },
};
let purchase = memory.read();

let busy = false;
let failures = 0; // questions in a row without an answer
let introduced = false; // whether the shop was asked who this is
let ahead = Infinity; // how much the proxy's clock is ahead of this one, ms
let next = null; // what happens at which time, and whether the clock shows it
let holding = false; // whether what is shown is a hold
let idle = false; // whether the buyer has not asked for anything yet
let lastMinute = null; // what a screen reader was told last

function show(words, { main, other, note, detail, at, act, shown = true } = {}) {
  // The same words are not read aloud again.
  const write = (name, text) => { if (on(name).textContent !== text) on(name).textContent = text; };
  on('state').dataset.mood = words.mood;
  write('headline', words.headline);
  write('detail', detail ?? words.detail);
  write('label', words.label ?? '');
  write('note', note ?? '');
  on('note').hidden = !note;
  const focused = document.activeElement?.parentElement === on('buttons');
  button('main', main);
  button('other', other);
  // Who goes by keyboard is not thrown back to the top.
  if (focused) [on('main'), on('other'), on('headline')].find((element) => !element.hidden).focus();
  next = at === undefined ? null : { at, act, shown };
  holding = words === WORDS.held;
  idle = [WORDS.ready, WORDS.upcoming, WORDS.gone].includes(words);
  if (!holding) lastMinute = null;
  tick();
}

function button(name, [text, act] = []) {
  const element = on(name);
  element.hidden = text === undefined;
  element.textContent = text ?? '';
  element.onclick = () => { if (!busy) act(); };
}

function tick() {
  const left = next === null ? 0 : next.at - Date.now();
  on('clock').hidden = !next?.shown;
  on('timer').textContent = next?.shown ? span(left) : '';
  document.title = next?.shown ? `${span(left)} · ${on('headline').textContent}` : on('headline').textContent;
  if (next !== null && left <= 0 && !busy) next.act();
}

async function ask(method, target, headers = {}) {
  for (const name of ['main', 'other']) on(name).setAttribute('aria-disabled', 'true');
  busy = true;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(target, { method, headers, signal, cache: 'no-store' });
    const body = await response.json().catch(() => ({}));
    setClock(Date.parse(response.headers.get('Date')));
    failures = 0;
    const seconds = response.headers.get('Retry-After');
    return { status: response.status, ok: response.ok, body, code: body.code, retryAfter: seconds === null ? null : Number(seconds) };
  } catch {
    failures += 1;
    return { status: 0, ok: false, body: {}, code: 'unavailable', retryAfter: Math.min(2 ** (failures - 1), 30) };
  } finally {
    busy = false;
    for (const name of ['main', 'other']) on(name).removeAttribute('aria-disabled');
  }
}

// `Date` has no parts of a second: the clock is taken to be a second further, so that nobody believes to
// have more time than he has, and the closest of all answers counts, unless this clock was set.
function setClock(date) {
  const found = date + 1000 - Date.now();
  if (found < ahead || found > ahead + 2000) ahead = found;
}

// Not all at the same time: up to a tenth later, at least half a second, at most half a minute.
const later = (seconds) => {
  const ms = Math.max(seconds, 1) * 1000;
  return Date.now() + ms + Math.random() * Math.min(Math.max(ms / 10, 500), 30_000);
};

// What can be seen before anybody asks. Without an answer there is the button all the same.
async function ready() {
  const buyNow = ['Buy now', buy];
  if (!idle) show(WORDS.ready, { main: buyNow });
  const sale = await glance();
  if (!idle || sale === null) return;
  switch (sale.state) {
    case 'waiting':
      return show(WORDS.upcoming, {
        main: ['Buy it for me at the start', buy],
        at: Date.now() + sale.starts_in_ms,
        // Nobody is asked at that moment: all pages would ask together.
        act: () => show(WORDS.ready, { main: buyNow }),
      });
    case 'ended':
      return show(WORDS.ended);
    case 'soldout':
      if (sale.units?.held === 0) return show(WORDS.sold_out_for_good, { main: ['Look again', buy] });
      return show(WORDS.gone, { detail: stillHeld(sale), main: ['Get me the next one', buy] });
    case 'open':
      return show(WORDS.ready, { detail: left(sale), main: buyNow });
    default:
      return show(WORDS.ready, { main: buyNow });
  }
}

// How the sale stands, or null. Nobody waits for it: the buttons work meanwhile.
async function glance() {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(`${path}/state`, { signal, cache: 'no-store' });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

// Only if the shop lets everybody see its numbers.
function left({ units }) {
  if (units === undefined) return undefined;
  return `${units.available} ${units.available === 1 ? 'is' : 'are'} left. ${WORDS.ready.detail}`;
}

function stillHeld({ units }) {
  if (units === undefined || units.held === 0) return undefined;
  const some = units.held === 1 ? 'One is still held for a buyer who has' : `${units.held} are still held for buyers who have`;
  return `${some} not paid yet. If one comes back, we try to get it for you.`;
}

async function buy() {
  purchase = { key: purchase.key ?? newKey(), wanted: true };
  memory.write();
  if (on('state').dataset.mood !== 'wait') show(WORDS.asking, { main: ['Buy now', buy] });
  const answer = await ask('POST', path, { 'Idempotency-Key': purchase.key });
  if (answer.ok && answer.body.rid) {
    purchase.rid = answer.body.rid;
    memory.write();
    return look();
  }
  refused(answer);
}

function refused(answer) {
  const { code, status } = answer;
  if (status === 401 && !introduced) return introduce(buy);
  if (code === 'reservation_gone') return over(WORDS.expired);
  if (code === 'not_started') {
    const at = Date.now() + answer.body.starts_in_ms + Math.random() * 250;
    return tryAgain(WORDS.not_started, at, undefined);
  }
  if (answer.retryAfter !== null) {
    const words = WORDS[code] ?? WORDS.unavailable;
    tryAgain(words, later(answer.retryAfter), ['Try now', buy]);
    return code === 'sold_out' ? count() : undefined;
  }
  if (code === 'sold_out') {
    return show(WORDS.sold_out_for_good, { main: ['Look again', buy] });
  }
  // The shop has turned it down, and the units went back.
  if (!WORDS[code] && status < 500) purchase = {};
  memory.write();
  const note = WORDS[code] ? undefined : `Answer ${status} ${code ?? ''}`;
  show(WORDS[code] ?? WORDS.failed, { note, main: code === 'ended' ? undefined : ['Try again', restart] });
}

function tryAgain(words, at, main) {
  show(words, { at, act: buy, main, other: ['Do not wait', stop] });
}

// How many are held, while he waits for one of them.
async function count() {
  const sale = await glance();
  const detail = sale === null ? undefined : stillHeld(sale);
  if (waits() && detail !== undefined) on('detail').textContent = detail;
}

const waits = () => on('headline').textContent === WORDS.sold_out.headline && !idle;

// The key stays: whether something was granted by an answer that got lost, nobody knows yet.
function stop() {
  purchase.wanted = false;
  memory.write();
  ready();
}

async function look() {
  const answer = await ask('GET', `${path}/reservations/${purchase.rid}`);
  const { status, deadline } = answer.body;
  if (!answer.ok) {
    if (answer.status === 401 && !introduced) return introduce(look);
    // Another buyer in this browser has bought it.
    if (answer.status === 404) return over(WORDS.ready, 'Buy now');
    if (holding && next.at > Date.now()) return;
    return show(WORDS.unavailable, { at: later(answer.retryAfter ?? 2), act: look });
  }
  if (status === 'confirmed') return show(WORDS.confirmed, { note: `Order ${purchase.rid}` });
  if (status === 'expired' || status === 'cancelled') return over(WORDS[status]);
  held(status, deadline - ahead);
}

function held(status, deadline) {
  const written = status === 'ordered' ? 'Your order is written' : 'Your order is being written';
  show(WORDS.held, {
    note: `${written}: ${purchase.rid}`,
    main: ['Pay now', pay],
    other: ['Give it back', giveBack],
    at: deadline,
    // The proxy says when it is over, and not this clock.
    act: () => { next = { at: Date.now() + 1000, act: look, shown: false }; },
  });
}

// Their own times to look, beside the one that is shown.
setInterval(() => {
  if (holding && !busy) look();
}, LOOK_EVERY_MS);
setInterval(() => {
  if (document.hidden) return;
  if (idle) ready();
  else if (waits()) count();
}, WATCH_EVERY_MS);

async function pay() {
  show(WORDS.paying, { main: ['Pay now', pay] });
  const answer = await ask('POST', `/pay${path}/${purchase.rid}`);
  if (answer.status === 0 || answer.status >= 500) {
    return show(WORDS.payment_unknown, { at: later(answer.retryAfter ?? 2), act: pay });
  }
  // Paid, or too late for that: its state says which.
  look();
}

async function giveBack() {
  await ask('DELETE', `${path}/reservations/${purchase.rid}`);
  look();
}

// The next purchase is another one, with a key of its own.
function over(words, text = 'Try again') {
  purchase = {};
  memory.write();
  show(words, { main: [text, buy] });
}

function restart() {
  introduced = false;
  buy();
}

// The shop says who this is, in a cookie that comes with its pages.
async function introduce(then) {
  introduced = true;
  await ask('GET', path);
  then();
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Aloud only now and then: a clock that speaks each second says nothing.
function sayMinutes() {
  if (!holding || !next?.shown) return;
  const minutes = Math.ceil((next.at - Date.now()) / 60_000);
  if (minutes !== lastMinute && [10, 5, 2, 1].includes(minutes)) {
    on('said').textContent = minutes === 1 ? 'Less than a minute left to pay' : `${minutes} minutes left to pay`;
  }
  lastMinute = minutes;
}

setInterval(() => { tick(); sayMinutes(); }, 250);

// Who comes back, perhaps from his bank, sees at once how it stands.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  if (purchase.rid && !busy) look();
  else if (idle) ready();
});

if (purchase.rid) look();
else if (purchase.wanted) buy();
else ready();
