// How long both sides took: quantiles, and how many responses took how long.

import { h, svg } from "./dom.js";
import { count, time } from "./format.js";

const SIDES = [["p", "Production"], ["c", "Candidate"], ["s", "Control"]];
const WIDTH = 640, HEIGHT = 190, LEFT = 8, BOTTOM = 26;

export function latency(data) {
  const sides = SIDES.filter(([side]) => data.latency[side].count > 0);
  if (sides.length === 0) return null;
  const quantiles = [["p50_us", "p50"], ["p90_us", "p90"], ["p95_us", "p95"], ["p99_us", "p99"]];
  const slower = data.slower;
  return h("section", { "aria-labelledby": "latency" },
    h("h2", { id: "latency" }, "Latency"),
    data.is_slower && h("p", { class: "note bad" }, `Slower: ${slower.median_ratio.toFixed(2)} times at the median, p = ${slower.p.toExponential(1)}.`),
    h("div", { class: "pair times" },
      h("figure", null, plot(data.distribution, sides),
        h("figcaption", { class: "quiet" }, sides.map(([side, name]) => h("span", { class: `key ${side}` }, name)), "share of responses by time, in steps of a fifth")),
      h("div", { class: "scroll" }, h("table", null,
        h("caption", { class: "hidden" }, "Quantiles of the response time"),
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "Side"), h("th", { scope: "col", class: "number" }, "Responses"),
          quantiles.map(([, name]) => h("th", { scope: "col", class: "number" }, name)))),
        h("tbody", null, sides.map(([side, name]) => h("tr", null, h("th", { scope: "row" }, h("span", { class: `key ${side}` }, name)),
          h("td", { class: "number", "data-label": "Responses" }, count(data.latency[side].count)),
          quantiles.map(([key, label]) => h("td", { class: "number", "data-label": label }, time(data.latency[side][key]))))))))));
}

function plot(distribution, sides) {
  const ends = sides.flatMap(([side]) => distribution[side].map(([end]) => end));
  const low = Math.log(Math.max(1, Math.min(...ends) / 1.5)), high = Math.log(Math.max(...ends) * 1.3);
  const x = (micros) => LEFT + (Math.log(Math.max(1, micros)) - low) / (high - low || 1) * (WIDTH - 2 * LEFT);
  const shares = sides.map(([side]) => {
    const total = distribution[side].reduce((sum, [, n]) => sum + n, 0);
    return [side, distribution[side].map(([end, n]) => [end, n / total])];
  });
  const most = Math.max(...shares.flatMap(([, steps]) => steps.map(([, share]) => share)));
  const y = (share) => HEIGHT - BOTTOM - share / most * (HEIGHT - BOTTOM - 10);
  const ticks = [];
  for (let power = 0; power <= 9; power += 1) {
    for (const of of [1, 2, 5]) {
      const tick = of * 10 ** power;
      if (Math.log(tick) > low && Math.log(tick) < high) ticks.push(tick);
    }
  }
  const few = ticks.length > 7 ? ticks.filter((tick) => /^10*$/.test(tick)) : ticks;
  const outline = (steps) => {
    const points = [];
    const ground = HEIGHT - BOTTOM;
    let before = 0;
    for (const [end, share] of steps) {
      // Steps that touch share an edge.
      const touches = before > 0 && end / before < 1.3;
      const from = touches ? x(before) : x(end / 1.2);
      if (!touches) points.push([before ? x(before) : from, ground], [from, ground]);
      points.push([from, y(share)], [x(end), y(share)]);
      before = end;
    }
    points.push([x(before), ground]);
    return points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");
  };
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Share of responses by time; the table has the quantiles" },
    few.map((tick) => [
      svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 4, y2: HEIGHT - BOTTOM }),
      svg("text", { x: x(tick), y: HEIGHT - 8, "text-anchor": "middle" }, time(tick).replace(/\.0+ /, " ")),
    ]),
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH - LEFT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    shares.map(([side, steps]) => svg("polyline", { class: `area ${side}`, points: outline(steps) })));
}
