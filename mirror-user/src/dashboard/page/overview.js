// All endpoints: what fails, what is noise, how long it takes.

import { get } from "./api.js";
import { h } from "./dom.js";
import { count, interval, percent, time } from "./format.js";
import { choice, plot, spark } from "./trend.js";

const state = { text: "", failing: false, by: "failing" };

const ORDERS = {
  failing: (a, b) => b.failing_rate - a.failing_rate || told(b) - told(a),
  name: (a, b) => a.id.localeCompare(b.id),
  total: (a, b) => b.total - a.total,
  noise: (a, b) => (b.noise_rate ?? -1) - (a.noise_rate ?? -1),
  slower: (a, b) => ratio(b) - ratio(a),
};
const told = (row) => (row.verdicts.regression ?? 0) * 1000 + (row.verdicts.insufficient ?? 0);
const ratio = (row) => (row.p95_us.c ?? 0) / (row.p95_us.p || Infinity);

export async function overview() {
  const data = await get("overview");
  const body = h("tbody");
  const shownCount = h("p", { class: "quiet", role: "status" });
  const head = [["name", "Endpoint"], ["total", "Requests"], ["failing", "Failing"], ["noise", "Noise"], ["slower", "p95 production"]];
  const columns = head.map(([by, text]) => {
    const th = h("th", { scope: "col", class: by === "name" ? "" : "number" });
    const order = () => { state.by = by; fill(); };
    th.append(h("button", { type: "button", class: "sort", "data-key": `sort-${by}`, onclick: order }, text));
    return [by, th];
  });
  const fill = () => {
    for (const [by, th] of columns) th.setAttribute("aria-sort", by !== state.by ? "none" : by === "name" ? "ascending" : "descending");
    const words = state.text.toLowerCase();
    const rows = data.endpoints
      .filter((row) => row.id.toLowerCase().includes(words) && (!state.failing || row.failing > 0 || row.is_slower))
      .sort(ORDERS[state.by]);
    body.replaceChildren(...rows.map(line));
    shownCount.textContent = rows.length === data.endpoints.length ? "" : `${rows.length} of ${data.endpoints.length} endpoints`;
  };
  const search = h("input", {
    type: "search", id: "search", "data-key": "search", placeholder: "Filter endpoints", "aria-label": "Filter endpoints", value: state.text,
    oninput: (event) => { state.text = event.target.value; fill(); },
  });
  const only = h("input", { type: "checkbox", "data-key": "only", onchange: (event) => { state.failing = event.target.checked; fill(); } });
  only.checked = state.failing;
  fill();
  return h("div", null,
    h("h1", null, "Endpoints"),
    data.stores && choice(data.judged, data.trend.from + data.trend.steps.length * data.trend.width),
    cards(data),
    data.basis && h("p", { class: "quiet", id: "basis" }, data.basis),
    plot(data.trend),
    data.endpoints.length === 0
      ? h("p", { class: "note" }, "Nothing is compared yet.")
      : [
        h("div", { class: "tools" }, search, h("label", { class: "check" }, only, "only failing or slower"), shownCount),
        h("div", { class: "scroll" }, h("table", { class: "endpoints" },
          h("caption", { class: "hidden" }, "Endpoints with their requests, failures, noise and times"),
          h("thead", null, h("tr", null, columns.map(([, th]) => th), h("th", { scope: "col", class: "number" }, "p95 candidate"), h("th", { scope: "col" }, "Trend"))),
          body)),
      ]);
}

function cards(data) {
  const failing = data.endpoints.reduce((sum, row) => sum + row.failing, 0);
  const regressions = data.endpoints.reduce((sum, row) => sum + (row.verdicts.regression ?? 0), 0);
  const slower = data.endpoints.filter((row) => row.is_slower).length;
  const total = data.endpoints.reduce((sum, row) => sum + row.total, 0);
  const card = (value, text, bad) => h("div", { class: `figure${bad ? " bad" : ""}` }, h("dd", null, value), h("dt", null, text));
  return h("dl", { class: "figures" },
    card(count(total), "requests compared"),
    card(total ? percent(failing / total) : "–", "of them failing", failing > 0),
    card(count(regressions), regressions === 1 ? "field regressed" : "fields regressed", regressions > 0),
    card(count(slower), slower === 1 ? "endpoint slower" : "endpoints slower", slower > 0));
}

function line(row) {
  const [low, high] = row.failing_rate_95;
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", { class: "fill" }));
  bar.firstChild.style.width = `${Math.min(100, row.failing_rate * 100)}%`;
  const open = row.verdicts.insufficient ?? 0;
  const regressed = row.verdicts.regression ?? 0;
  return h("tr", { class: row.failing > 0 ? "fails" : "" },
    h("th", { scope: "row" },
      h("a", { href: `#/endpoint/${encodeURIComponent(row.id)}`, "data-key": row.id }, row.id),
      h("span", { class: "hints" },
        regressed > 0 && h("span", { class: "badge bad" }, regressed === 1 ? "1 field" : `${regressed} fields`),
        open > 0 && h("span", { class: "badge open" }, `${open} open`),
        row.unanswered > 0 && h("span", { class: "badge bad" }, `${count(row.unanswered)} unanswered`),
        row.is_slower && h("span", { class: "badge bad" }, "slower"))),
    h("td", { class: "number", "data-label": "Requests" }, count(row.total)),
    h("td", { class: "number failing", "data-label": "Failing", title: `95 % interval ${interval([low, high])}` }, bar, h("span", { class: "share" }, percent(row.failing_rate))),
    h("td", { class: "number", "data-label": "Noise" }, percent(row.noise_rate)),
    h("td", { class: "number", "data-label": "p95 production" }, time(row.p95_us.p)),
    h("td", { class: `number${row.is_slower ? " worse" : ""}`, "data-label": "p95 candidate" }, time(row.p95_us.c)),
    h("td", { "data-label": "Trend" }, spark(row.trend)));
}
