// Faults on demand: which one is next, and how an answer is broken. README.md lists them.
import { readFileSync, statSync } from "node:fs";

// Gives a function from a request's path to its fault, if it has one. FILE holds one fault or a list;
// each is for the first `count` requests of its path. It is read again whenever it was replaced, and
// never written, so that nobody's new faults can be lost.
export function faultsOf(file) {
  let version = "";
  let faults = [];
  return (path) => {
    const now = statSync(file, { bigint: true, throwIfNoEntry: false });
    const identity = now ? `${now.ino} ${now.mtimeNs} ${now.size}` : "";
    if (identity !== version) {
      // What is wrong in it is thrown, and makes answers of status 500: nobody shall miss it.
      faults = now ? [JSON.parse(readFileSync(file, "utf8"))].flat().map(named) : [];
      version = identity;
    }
    const fault = faults.find((each) => each.count > 0 && (each.path === "*" || each.path === path));
    if (fault) fault.count -= 1;
    return fault;
  };
}

// These make an answer of their own.
const ANSWERS = ["status", "type", "headers", "body", "redirect", "huge", "trickle"];
const KNOWN = new Set(["path", "count", "delay", "delay_after", "drop", "merge", "remove", ...ANSWERS]);

function named(fault) {
  for (const key of Object.keys(fault)) if (!KNOWN.has(key)) throw new Error(`there is no fault "${key}"`);
  const { path = "/token", count = 1, drop } = fault;
  const before = drop === "before";
  const answers = ANSWERS.some((key) => key in fault);
  const sends = before || !answers ? undefined : (fault.status ?? (fault.redirect ? 302 : 200));
  const name = before
    ? "drop before"
    : drop === "after"
      ? "drop after"
      : Object.keys(fault).filter((key) => key !== "path" && key !== "count").join(" ");
  // One that replaces the answer keeps the request from the server; the others only change its answer.
  return { ...fault, path, count, name, sends, replaces: before || sends !== undefined };
}

// Answers with what FAULT says instead of an answer of the server.
export function breakAnswer(response, fault) {
  if (fault.sends === undefined) return response.destroy();
  const headers = { "Content-Type": fault.type ?? "application/json", ...fault.headers };
  if (fault.redirect) headers.Location = fault.redirect;
  // Node counts bytes of its own accord, and here lies are wanted.
  response.strictContentLength = false;
  response.writeHead(fault.sends, headers);
  const body = Buffer.from(fault.body ?? (fault.redirect ? "" : '{"error":"temporarily_unavailable"}'));
  if (fault.huge) return endless(response);
  if (fault.trickle) return slow(response, body);
  response.end(body);
}

// As much as the client takes: one text in JSON that does not end.
function endless(response) {
  const chunk = Buffer.alloc(64 * 1024, "x");
  response.write('{"access_token":"');
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", more);
  more();
}

// One byte a second.
function slow(response, body) {
  let at = 0;
  const timer = setInterval(() => {
    if (at < body.length) response.write(body.subarray(at, ++at));
    else response.end();
    if (response.writableEnded || response.destroyed) clearInterval(timer);
  }, 1000);
  response.on("close", () => clearInterval(timer));
}
