// What is forgiven and why; and the rules that were made here, as a file to keep.

import { get } from "./api.js";
import { copyButton, h } from "./dom.js";
import { badge, count } from "./format.js";

const KEY = "mirror-rules";

const made = () => JSON.parse(sessionStorage.getItem(KEY) ?? "[]");

/** Adds the rules of a file to those that were made in this tab. */
export function keep(yaml) {
  const rules = yaml.split("\n").filter((line) => line.startsWith("- "));
  sessionStorage.setItem(KEY, JSON.stringify([...new Set([...made(), ...rules])]));
}

export async function rules() {
  const data = await get("rules");
  const own = made();
  const file = `version: 1\nrules:\n${own.join("\n")}\n`;
  return h("div", null,
    h("h1", null, "Rules and noise"),
    h("section", { "aria-labelledby": "in-effect" },
      h("h2", { id: "in-effect" }, "Rules in effect"),
      data.rules.length === 0
        ? h("p", { class: "note" }, "None. Give a file with ", h("code", null, "--rules"), ".")
        : table(["Rule", "Decided"], data.rules.map((rule) => [
          h("code", null, rule.rule),
          rule.hits > 0 ? count(rule.hits) : h("span", { class: "badge open" }, "never matched")]))),
    h("section", { "aria-labelledby": "made" },
      h("h2", { id: "made" }, "Rules made here"),
      own.length === 0
        ? h("p", { class: "quiet" }, "A field's page has a button that makes one.")
        : [h("p", { class: "quiet" }, "Keep them: give this file with ", h("code", null, "--rules FILE"), "."),
          h("pre", { id: "made-rules", tabindex: "0" }, file), copyButton("Copy YAML", file)]),
    h("section", { "aria-labelledby": "forgiven" },
      h("h2", { id: "forgiven" }, "Forgiven, and noise"),
      data.forgiven.length === 0
        ? h("p", { class: "note" }, "Nothing was forgiven.")
        : table(["Field", "Why", "Differences"], data.forgiven.map((one) => [
          [h("a", { href: `#/field/${[one.endpoint, one.path, one.class].map(encodeURIComponent).join("/")}` }, h("code", null, one.path)),
            h("span", { class: "quiet block" }, one.endpoint)],
          [badge(one.verdict), Object.keys(one.by).map((by) => h("span", { class: "quiet block" }, by))],
          count(one.raw + Object.values(one.by).reduce((sum, n) => sum + n, 0))])),
      data.more > 0 && h("p", { class: "quiet" }, `and ${count(data.more)} more fields`)));
}

function table(names, rows) {
  return h("div", { class: "scroll" }, h("table", null,
    h("thead", null, h("tr", null, names.map((name, at) => h("th", { scope: "col", class: at === names.length - 1 ? "number" : "" }, name)))),
    h("tbody", null, rows.map((cells) => h("tr", null, cells.map((cell, at) =>
      at === 0 ? h("th", { scope: "row" }, cell) : h("td", { class: at === cells.length - 1 ? "number" : "", "data-label": names[at] }, cell)))))));
}
