// One field: what its differences mean, sample pairs, and the rule that ignores it.

import { get, ignore as judgeWithout } from "./api.js";
import { copyButton, h, say, trail } from "./dom.js";
import { apart, badge, count, interval, percent, withTokens } from "./format.js";
import { keep } from "./rules.js";

export async function field(id, path, kind) {
  const data = await get("endpoints", id, "fields", path, kind);
  const forgiven = Object.entries(data.forgiven);
  const fact = (name, value) => [h("dt", null, name), h("dd", null, value)];
  return h("div", null,
    trail(["Endpoints", "#/"], [id, `#/endpoint/${encodeURIComponent(id)}`], [path]),
    h("h1", { class: "name" }, h("code", null, path)),
    h("p", { class: "lead" }, badge(data.verdict), " ", data.cause),
    h("dl", { class: "facts" },
      fact("Pairs that differ", `${count(data.raw)} of ${count(data.total)}, ${percent(data.raw / data.total)} (95 % interval ${interval(data.rate_95)})`),
      fact("Control that differs", count(data.noise)),
      fact("By chance", `p = ${data.p.toExponential(2)}`),
      fact("Relative, absolute", `${data.figures.relative.toFixed(1)} %, ${data.figures.absolute.toFixed(2)} %`),
      forgiven.map(([by, n]) => fact("Forgiven", `${count(n)} by ${by}`))),
    ignore(data),
    h("section", { "aria-labelledby": "samples" },
      h("h2", { id: "samples" }, "Sample pairs"),
      data.samples.length === 0
        ? h("p", { class: "note" }, "None is kept: samples are of differences that nothing forgave.")
        : data.samples.map(sample),
      data.stores && h("p", null, h("a", { href: `#/stored/${[id, path, kind].map(encodeURIComponent).join("/")}`, id: "stored" }, "More stored pairs of this field"))));
}

function ignore(data) {
  const place = h("div");
  if (!data.rule) return h("p", { class: "quiet" }, "No rule can name this field.");
  const show = async () => {
    keep(data.rule);
    if (data.stores) await judgeWithout(data.endpoint, data.path, data.class);
    const yaml = h("pre", { id: "rule", tabindex: "0", "aria-label": "The rule as YAML" }, data.rule);
    place.replaceChildren(h("div", { class: "card" },
      data.stores && h("p", null, "What is stored is judged anew with this rule, on all pages here; the run's own report is not."),
      h("p", null, "Keep this in a file and give it with ", h("code", null, "--rules"), ". The page ", h("a", { href: "#/rules" }, "Rules and noise"), " collects the rules that you make."),
      yaml, copyButton("Copy YAML", data.rule)));
    yaml.focus();
    say(data.stores ? "judged anew; the rule is shown" : "the rule is shown");
  };
  place.append(h("button", { type: "button", id: "ignore", onclick: show }, "Ignore this field"));
  return place;
}

function sample(one, at) {
  const none = h("span", { class: "quiet" }, "nothing");
  let [left, right] = [one.production, one.candidate].map((value) => (value === null ? none.cloneNode(true) : value));
  if (one.production !== null && one.candidate !== null) [left, right] = apart(one.production, one.candidate);
  const side = (name, value) => h("div", { class: "side" }, h("h4", null, name), h("pre", { tabindex: "0" }, value));
  return h("article", { class: "card sample", "aria-label": `Sample ${at + 1}` },
    h("header", null,
      h("h3", null, h("a", { href: `#/request/${encodeURIComponent(one.id)}` }, withTokens(one.request))),
      one.pointer && h("code", { class: "quiet" }, one.pointer),
      one.curl && copyButton("Copy as curl", one.curl)),
    h("div", { class: "pair" }, side("Production", left), side("Candidate", right)));
}
