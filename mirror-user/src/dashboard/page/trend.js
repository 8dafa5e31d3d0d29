// The failing part over time, and the choice of a part of the time.

import { range } from "./api.js";
import { h, svg } from "./dom.js";
import { count, moment, percent } from "./format.js";

const HEIGHT = 60;

/** A line of a table's row: shares of a thousand, or null where there is nothing. */
export function spark(shares) {
  const most = Math.max(1, ...shares.map((one) => one ?? 0));
  const last = shares.findLast((one) => one !== null);
  const bars = shares.map((share, at) => share > 0 && svg("rect", {
    class: "fails", x: at * 3, width: 2, y: 18 - Math.max(1, share / most * 16), height: Math.max(1, share / most * 16) }));
  const width = Math.max(30, shares.length) * 3;
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} 20`, role: "img",
    "aria-label": last === undefined ? "no time is known" : `${percent(last / 1000)} failing at the end, ${percent(most / 1000)} at most` },
    svg("line", { class: "axis", x1: 0, x2: width, y1: 18.5, y2: 18.5 }), bars);
}

/** All of it: the failing part of each step as a bar, with its ends named. */
export function plot({ from, width, steps }) {
  if (!steps.some(([pairs]) => pairs > 0)) return null;
  const rates = steps.map(([pairs, failing]) => (pairs > 0 ? failing / pairs : null));
  const most = Math.max(0.001, ...rates.map((rate) => rate ?? 0));
  const at = (step) => moment(from + step * width, width < 60);
  const bar = (rate, step) => {
    if (rate === null) return null;
    const high = Math.max(rate > 0 ? 2 : 1, rate / most * HEIGHT);
    const [pairs, failing] = steps[step];
    return svg("rect", { class: rate > 0 ? "fails" : "passes", x: step * 10 + 1, width: 8, y: HEIGHT - high, height: high },
      svg("title", null, `${at(step)}: ${count(failing)} of ${count(pairs)} failing`));
  };
  const label = `${percent(rates[0] ?? 0)} failing at the start, ${percent(rates.at(-1) ?? 0)} at the end, ${percent(most)} at most`;
  const ends = Math.max(12, steps.length);
  return h("figure", { class: "trend" },
    h("figcaption", { class: "quiet" }, `Failing part of the requests by the time of production's response, ${percent(most)} at most`),
    svg("svg", { viewBox: `0 0 ${ends * 10} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      rates.map(bar), svg("line", { class: "axis", x1: 0, x2: ends * 10, y1: HEIGHT, y2: HEIGHT })),
    h("p", { class: "quiet ends" }, h("span", null, at(0)), h("span", null, at(ends))));
}

const RANGES = [["", "as it is compared"], ["300", "last 5 minutes"], ["3600", "last hour"], ["86400", "last day"], ["all", "all that is stored"], ["own", "from … to …"]];

/** Chooses a part of the time; `end` is when the last pair was, in seconds since 1970. */
export function choice(judged, end) {
  const chosen = judged === null ? "" : judged.from === null && judged.to === null ? "all"
    : RANGES.find(([value]) => value !== "" && judged.to === null && Number(value) === end - judged.from)?.[0] ?? "own";
  const local = (at) => {
    const date = new Date(at * 1000);
    return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  };
  const at = (value) => (value === "" ? null : Math.floor(new Date(value).getTime() / 1000));
  const input = (name, key, value) => h("input", { type: "datetime-local", "data-key": key, "aria-label": name, value: value === null || value === undefined ? "" : local(value) });
  const from = input("From", "range-from", judged?.from), to = input("To", "range-to", judged?.to);
  const own = h("form", { class: "check", hidden: chosen !== "own", onsubmit: (event) => { event.preventDefault(); range(at(from.value), at(to.value)); } },
    from, "to", to, h("button", { type: "submit", class: "small", "data-key": "range-show" }, "Show"));
  const choose = (event) => {
    const { value } = event.target;
    own.hidden = value !== "own";
    if (value === "own") return;
    range(...(value === "" ? [] : value === "all" ? [null, null] : [end - Number(value), null]));
  };
  return h("div", { class: "tools" },
    h("label", { class: "check" }, "Time",
      h("select", { id: "range", "data-key": "range", onchange: choose },
        RANGES.map(([value, text]) => h("option", { value, selected: value === chosen }, text)))),
    own);
}
