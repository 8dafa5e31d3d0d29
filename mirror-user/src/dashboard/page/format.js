// Values as people read them.

import { h } from "./dom.js";

export const count = (n) => n.toLocaleString("en-US");

export function percent(rate) {
  if (rate === null || rate === undefined) return "–";
  const value = rate * 100;
  const digits = value === 0 || value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} %`;
}

export const interval = ([low, high]) => `${percent(low)} to ${percent(high)}`;

export function time(micros) {
  if (micros === null || micros === undefined) return "–";
  if (micros < 1000) return `${micros} µs`;
  const millis = micros / 1000;
  if (millis < 1000) return `${millis.toFixed(millis < 10 ? 2 : millis < 100 ? 1 : 0)} ms`;
  return `${(millis / 1000).toFixed(2)} s`;
}

/** A moment, from seconds since 1970, in the time zone of whoever looks. */
export const moment = (seconds, exactly = false) =>
  new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: exactly ? "medium" : "short" });

const VERDICTS = {
  regression: ["Regression", "bad"],
  insufficient: ["Not enough data", "open"],
  rare: ["Rare", "calm"],
  control: ["Noise: control", "calm"],
  double_send: ["Noise: candidate repeated", "calm"],
  own_noise: ["Noise: production repeated", "calm"],
  forgiven: ["Forgiven", "calm"],
};

export const isTold = (verdict) => verdict === "regression" || verdict === "insufficient";
export const verdictName = (verdict) => (VERDICTS[verdict] ?? [verdict])[0];

export function badge(verdict) {
  const [text, kind] = VERDICTS[verdict] ?? [verdict, "calm"];
  return h("span", { class: `badge ${kind}` }, text);
}

const FAILURES = {
  timeout: "took too long", not_connected: "not connected", reset: "connection reset",
  closed: "connection closed", not_http: "not HTTP",
};
export const failureName = (name) => FAILURES[name] ?? name;

// What redaction leaves in place of a secret.
const TOKEN = /(redacted-[a-z0-9-]*?-?[a-z2-7]{16}|u-[a-z2-7]{16}@redacted\.invalid)/g;

/** A text in which tokens of redaction are marked. */
export function withTokens(text) {
  return String(text).split(TOKEN).map((part, at) =>
    at % 2 ? h("span", { class: "redacted", title: "redacted: a token stands for the value" }, part) : part);
}

/** Two texts with the part that differs marked. */
export function apart(left, right) {
  const a = [...left], b = [...right];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const one = (text, kind) => {
    const middle = text.slice(start, text.length - end).join("");
    return [
      text.slice(0, start).join(""),
      middle && h("mark", { class: kind }, middle),
      end ? text.slice(-end).join("") : "",
    ];
  };
  return [one(a, "left"), one(b, "right")];
}
