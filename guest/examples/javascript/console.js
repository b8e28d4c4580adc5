// The console of a guest: `log`, `info`, `warn`, `error` and `debug`. In a released guest they do
// nothing: `released.js` is built, which has this file alone. In one for development they tell the
// author what the policy prints: `development.js` names who hears it.

const NAMES = ["log", "info", "warn", "error", "debug"];

// The console in place of any other.
export function speakBy(say) {
  globalThis.console = Object.fromEntries(NAMES.map((name) => [name, say]));
}

// Values as a line of text, which is well-formed, as the host takes no other.
export function shown(values) {
  return values.map(shownValue).join(" ").toWellFormed();
}

function shownValue(value) {
  if (typeof value === "string") {
    return value;
  }
  if (value instanceof Error) {
    return `${value}\n${value.stack}`.trimEnd();
  }
  if (typeof value !== "object" || value === null) {
    return typeof value === "bigint" ? `${value}n` : String(value);
  }
  try {
    return JSON.stringify(value, (_, inner) => plain(inner));
  } catch {
    // It contains itself, or a getter throws.
    return Object.prototype.toString.call(value);
  }
}

// What JSON has no form for, in one that it has.
function plain(value) {
  if (value instanceof Map || value instanceof Set || value instanceof Uint8Array) {
    return [...value];
  }
  if (value instanceof Error || value instanceof RegExp) {
    return String(value);
  }
  return ["bigint", "symbol", "function", "undefined"].includes(typeof value) ? String(value) : value;
}

speakBy(() => {});
