// Numbers, times and states as people read them.

const whole = new Intl.NumberFormat("en");
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** Verdicts in the order in which charts stack them, with what people call them. */
export const VERDICTS = [
  ["accepted", "accepted"],
  ["duplicate", "had it already"],
  ["limited", "too fast"],
  ["soldout", "sold out"],
  ["notstarted", "too early"],
  ["paused", "paused"],
  ["ended", "too late"],
];

const STATES = {
  waiting: "waits for its start",
  open: "open",
  soldout: "sold out",
  paused: "paused",
  fenced: "fenced",
  ended: "ended",
  closed: "closed",
  none: "not in Redis",
  unknown: "not known",
};

export const state = (word) => STATES[word] ?? word;

export const count = (number) => (number == null ? "–" : whole.format(number));

export const rate = (number) =>
  number == null ? "–" : number < 100 ? tenth.format(number) : whole.format(Math.round(number));

/** Short, for an axis. */
export function short(number) {
  if (number >= 1e6) return `${tenth.format(number / 1e6)} M`;
  if (number >= 1e4) return `${tenth.format(number / 1e3)} k`;
  return tenth.format(number);
}

/** How long, as exactly as anybody needs it. */
export function span(ms) {
  if (ms == null) return "–";
  if (ms > 0 && ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${tenth.format(ms / 1000)} s`;
  const s = Math.round(ms / 1000);
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return `${tenth.format(s / 3600)} h`;
}

/** As on a clock that counts down: 1:02:03. */
export function clock(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const [days, hours, minutes] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  const tail = `${two(minutes)}:${two(s % 60)}`;
  if (days > 0) return `${days} d ${hours}:${tail}`;
  return hours > 0 ? `${hours}:${tail}` : `${minutes}:${two(s % 60)}`;
}

/** When, in the reader's time zone; with the day if it is another one. */
export function time(ms) {
  const at = new Date(ms);
  const clock = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString()
    ? clock
    : `${at.toLocaleDateString("en-CA")} ${clock}`;
}

export const units = (n) => `${count(n)} ${n === 1 ? "unit" : "units"}`;

/** What a sale's clock waits for: its words, and the instant on the clock of its node. */
export function waitsFor(sale) {
  const { start_ms: start, end_ms: end } = sale.options ?? {};
  if (sale.state === "waiting" && start) return ["starts in", start];
  if (end && ["open", "soldout", "paused", "fenced", "waiting"].includes(sale.state)) return ["ends in", end];
  return null;
}
