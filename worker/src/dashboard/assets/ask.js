// Questions to the worker.

/** Somebody has to log in. */
export class LoggedOut extends Error {}

/** The answer's JSON; with a body it is a POST that only this page can make. */
export async function ask(path, body) {
  const options = { credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "content-type": "application/json", "seckill-dashboard": "1" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new Error("The worker does not answer.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const why = answer.detail || answer.title || `The worker answers ${response.status}.`;
  if (response.status === 401 && path !== "login") throw new LoggedOut(why);
  throw new Error(why);
}

/** A sale's address. */
export const ofSale = (sid, rest = "") => `sales/${encodeURIComponent(sid)}${rest}`;
