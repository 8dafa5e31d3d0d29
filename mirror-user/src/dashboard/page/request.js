// The last requests, those without a difference, too; and one of them with both sides.

import { get } from "./api.js";
import { copyButton, h, trail } from "./dom.js";
import { count, failureName, time, withTokens } from "./format.js";
import { message } from "./message.js";

const state = { text: "", which: "all" };

/** The stored pairs in which a field differs. */
export async function stored(id, path, kind) {
  const data = await get("endpoints", id, "fields", path, kind, "pairs");
  const body = h("tbody", null, data.map(line));
  return h("div", null,
    trail(["Endpoints", "#/"], [id, `#/endpoint/${encodeURIComponent(id)}`], [path, `#/field/${[id, path, kind].map(encodeURIComponent).join("/")}`], ["Stored pairs"]),
    h("h1", { class: "name" }, "Stored pairs"),
    h("p", { class: "quiet" }, data.length === 0 ? "None." : `The last ${count(data.length)} in which `, data.length > 0 && h("code", null, path), data.length > 0 && " differs."),
    data.length > 0 && table(body));
}

/** A stored pair. */
export const pair = async (place) => whole(await get("pairs", place));

export async function requests() {
  const data = await get("requests");
  const body = h("tbody");
  const fill = () => {
    const words = state.text.toLowerCase();
    const isWanted = { all: () => true, different: (one) => one.differences > 0, same: (one) => one.differences === 0 }[state.which];
    const rows = data.filter((one) => isWanted(one) && `${one.request} ${one.endpoint}`.toLowerCase().includes(words));
    body.replaceChildren(...rows.map(line));
  };
  const search = h("input", {
    type: "search", "data-key": "search", placeholder: "Filter requests", "aria-label": "Filter requests", value: state.text,
    oninput: (event) => { state.text = event.target.value; fill(); },
  });
  const which = h("select", { "data-key": "which", "aria-label": "Which requests", onchange: (event) => { state.which = event.target.value; fill(); } },
    [["all", "all"], ["different", "with a difference"], ["same", "without a difference"]].map(([value, text]) => h("option", { value, selected: value === state.which }, text)));
  fill();
  return h("div", null,
    h("h1", null, "Requests"),
    h("p", { class: "quiet" }, `The last ${count(data.length)}; samples of each field are kept longer.`),
    h("div", { class: "tools" }, search, which),
    table(body));
}

const table = (body) => h("div", { class: "scroll" }, h("table", null,
  h("caption", { class: "hidden" }, "Requests"),
  h("thead", null, h("tr", null, ["Request", "Status", "Production", "Candidate", "Differences"].map((name, at) =>
    h("th", { scope: "col", class: at > 0 ? "number" : "" }, name)))),
  body));

function line(one) {
  const status = one.status.p === one.status.c ? one.status.p : `${one.status.p} → ${one.status.c ?? "none"}`;
  return h("tr", { class: one.differences > 0 ? "fails" : "" },
    h("th", { scope: "row" }, h("a", { href: one.place === null ? `#/request/${encodeURIComponent(one.id)}` : `#/pair/${one.place}`, "data-key": one.place ?? one.id }, withTokens(one.request))),
    h("td", { class: "number", "data-label": "Status" }, status),
    h("td", { class: "number", "data-label": "Production" }, time(one.latency_us.p)),
    h("td", { class: "number", "data-label": "Candidate" }, time(one.latency_us.c)),
    h("td", { class: "number", "data-label": "Differences" }, one.differences > 0 ? h("span", { class: "badge bad" }, one.differences) : "none",
      one.forgiven > 0 && h("span", { class: "quiet" }, ` ${one.forgiven} forgiven`)));
}

export const request = async (id) => whole(await get("requests", id));

function whole(data) {
  const { details } = data;
  const counted = data.diffs.filter((one) => one.forgiven_by === null);
  const answer = (name, told, of, other) => told.failed
    ? h("section", { class: "side", "aria-label": name }, h("h3", null, name), h("p", { class: "note bad" }, failureName(told.failed)))
    : message(name, told.response, of, other, counted);
  return h("div", null,
    trail(["Endpoints", "#/"], [data.endpoint, `#/endpoint/${encodeURIComponent(data.endpoint)}`], [`${data.method} ${data.target}`]),
    h("h1", { class: "name" }, data.method, " ", withTokens(data.target)),
    h("p", { class: "quiet" }, data.ts ?? "", ` · production ${time(data.latency_us.p)}, candidate ${time(data.latency_us.c)}`),
    h("section", { "aria-labelledby": "differences" }, h("h2", { id: "differences" }, "Differences"), differences(data)),
    details && h("section", { "aria-labelledby": "responses" },
      h("h2", { id: "responses" }, "Responses"),
      h("div", { class: "pair" },
        message("Production", details.production, "p", details.candidate.response, counted),
        answer("Candidate", details.candidate, "c", details.production)),
      details.control && h("details", null, h("summary", null, "Control"), answer("Control", details.control, "s", details.production))),
    details && h("section", { "aria-labelledby": "request" }, h("h2", { id: "request" }, "Request"), message("As it was recorded", details.request, "q", null, [])),
    data.curl && h("section", { "aria-labelledby": "curl" },
      h("h2", { id: "curl" }, "As a command"),
      h("pre", { class: "curl", tabindex: "0" }, withTokens(data.curl)),
      copyButton("Copy as curl", data.curl),
      /redacted/.test(data.curl) && h("p", { class: "quiet" }, "Marked values are redacted: put the real ones in their place before you send it.")));
}

function differences(data) {
  if (data.diffs.length === 0) return h("p", { class: "note" }, "None.");
  const value = (text) => (text === null ? h("span", { class: "quiet" }, "nothing") : h("code", null, withTokens(text)));
  return h("div", { class: "scroll" }, h("table", null,
    h("caption", { class: "hidden" }, "Differences of this pair"),
    h("thead", null, h("tr", null, ["Field", "Kind", "Production", "Candidate", "Forgiven by"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, data.diffs.map((one) => h("tr", null,
      h("th", { scope: "row" }, h("a", { href: `#/field/${[data.endpoint, one.path, one.kind].map(encodeURIComponent).join("/")}` }, h("code", null, one.path))),
      h("td", { "data-label": "Kind" }, one.kind, one.noise && ` (noise: ${one.noise})`),
      h("td", { "data-label": "Production" }, value(one.p)),
      h("td", { "data-label": "Candidate" }, value(one.c)),
      h("td", { "data-label": "Forgiven by" }, one.forgiven_by === null ? "–" : one.rule ?? one.forgiven_by))))),
  data.more > 0 && h("p", { class: "quiet" }, `and ${count(data.more)} more`));
}
