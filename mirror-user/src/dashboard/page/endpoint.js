// One endpoint: its times, and its fields as a tree.

import { get } from "./api.js";
import { h, trail } from "./dom.js";
import { badge, count, failureName, interval, isTold, percent } from "./format.js";
import { latency } from "./latency.js";
import { plot } from "./trend.js";

const state = { text: "", quiet: false };

export async function endpoint(id) {
  const data = await get("endpoints", id);
  const tree = h("div", { class: "tree" });
  const shown = h("p", { class: "quiet", role: "status" });
  const fill = () => {
    const words = state.text.toLowerCase();
    const fields = data.fields.filter((one) => (state.quiet || isTold(one.verdict)) && `${one.path} ${one.cause}`.toLowerCase().includes(words));
    const hidden = data.fields.length - fields.length;
    shown.textContent = hidden === 0 ? "" : `${fields.length} of ${data.fields.length} fields`;
    tree.replaceChildren(fields.length === 0 ? h("p", { class: "note" }, data.fields.length === 0 ? "No difference." : "No field like this. Noise and forgiven differences are left out unless they are ticked.") : branch(grow(fields), data, ""));
  };
  const search = h("input", {
    type: "search", "data-key": "search", placeholder: "Filter fields", "aria-label": "Filter fields", value: state.text,
    oninput: (event) => { state.text = event.target.value; fill(); },
  });
  const quiet = h("input", { type: "checkbox", "data-key": "quiet", id: "quiet", onchange: (event) => { state.quiet = event.target.checked; fill(); } });
  quiet.checked = state.quiet;
  fill();
  const failures = Object.entries(data.failures);
  return h("div", null,
    trail(["Endpoints", "#/"], [data.name]),
    h("h1", { class: "name" }, data.name),
    h("p", { class: "lead" },
      h("strong", { class: data.failing > 0 ? "bad" : "" }, percent(data.failing_rate)), ` of ${count(data.total)} requests fail `,
      h("span", { class: "quiet" }, `(95 % interval ${interval(data.failing_rate_95)})`),
      data.control > 0 && `; the control differs in ${percent(data.control_differing / data.control)}`),
    failures.length > 0 && h("p", { class: "note bad" }, "Without a response of the candidate: ", failures.map(([why, n]) => `${count(n)} ${failureName(why)}`).join(", ")),
    h("section", { "aria-labelledby": "fields" },
      h("h2", { id: "fields" }, "Fields"),
      h("div", { class: "tools" }, search, h("label", { class: "check" }, quiet, "noise and forgiven, too"), shown),
      tree,
      data.beyond > 0 && h("p", { class: "note" }, `${count(data.beyond)} differences are in fields beyond the limit.`)),
    latency(data),
    plot(data.trend) && h("section", { "aria-labelledby": "trend" }, h("h2", { id: "trend" }, "Trend"), plot(data.trend)));
}

// The steps of a path: names, and the brackets behind them.
function steps(path) {
  return path.split(/\.|(?=\[\])|(?=\{\})/).filter((step) => step !== "");
}

function grow(fields) {
  const root = { children: new Map(), fields: [] };
  for (const field of fields) {
    let at = root;
    for (const step of steps(field.path)) {
      if (!at.children.has(step)) at.children.set(step, { children: new Map(), fields: [] });
      at = at.children.get(step);
    }
    at.fields.push(field);
  }
  return root;
}

function branch(node, data, path) {
  return h("ul", null, [...node.children].map(([step, child]) => {
    let name = step, at = child;
    // A way without forks is one line.
    while (at.fields.length === 0 && at.children.size === 1) {
      const [[next, only]] = at.children;
      name += /^[[{]/.test(next) ? next : `.${next}`;
      at = only;
    }
    const key = `${path}/${name}`;
    const leaves = at.fields.map((field) => leaf(field, name, data));
    if (at.children.size === 0) return leaves;
    return [leaves, h("li", null, h("details", { open: true, "data-key": key },
      h("summary", null, h("code", null, name)), branch(at, data, key)))];
  }));
}

function leaf(field, name, data) {
  const href = `#/field/${[data.name, field.path, field.class].map(encodeURIComponent).join("/")}`;
  const by = Object.entries(field.forgiven).map(([what, n]) => `${count(n)} forgiven by ${what}`);
  return h("li", null, h("a", { class: `leaf ${isTold(field.verdict) ? "" : "calm"}`, href, "data-key": `${field.path} ${field.class}`, title: field.path },
    h("code", null, name),
    h("span", { class: "cause" }, field.cause, by.length > 0 && h("span", { class: "quiet" }, ` · ${by.join(", ")}`)),
    badge(field.verdict),
    h("span", { class: "number" }, field.raw > 0 ? percent(field.raw / data.total) : "–",
      h("span", { class: "quiet" }, field.raw > 0 ? ` ${interval(field.rate_95)}` : ""))));
}
