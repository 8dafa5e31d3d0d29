// What the capture saw, what became of it, and what was dropped for which reason.

import { get } from "./api.js";
import { h } from "./dom.js";
import { count } from "./format.js";

export async function health() {
  const { health: { accounts }, refused } = await get("overview");
  const rows = accounts.filter((one) => one.seen > 0);
  return h("div", null,
    h("h1", null, "Capture"),
    h("p", { class: "quiet" }, "At each place, what was seen is delivered, in flight, or dropped for a reason."),
    rows.length === 0
      ? h("p", { class: "note" }, "Nothing was seen yet.")
      : h("div", { class: "scroll" }, h("table", null,
        h("caption", { class: "hidden" }, "Accounts from the capture to the comparison"),
        h("thead", null, h("tr", null, ["Place", "Seen", "Delivered", "In flight", "Dropped"].map((name, at) => h("th", { scope: "col", class: at > 0 ? "number" : "" }, name)))),
        h("tbody", null, rows.map(row)))),
    h("h2", null, "Requests that this page's server refused"),
    h("p", null, Object.entries(refused).filter(([, n]) => n > 0).map(([why, n]) => `${count(n)} ${why.replaceAll("_", " ")}`).join(", ") || "none"));
}

function row(one) {
  const dropped = (one.dropped ?? []).filter(([, n]) => n > 0);
  const sum = dropped.reduce((all, [, n]) => all + n, 0);
  return h("tr", null,
    h("th", { scope: "row" }, one.name),
    h("td", { class: "number", "data-label": "Seen" }, count(one.seen)),
    h("td", { class: "number", "data-label": "Delivered" }, count(one.delivered)),
    h("td", { class: "number", "data-label": "In flight" }, count(one.in_flight ?? 0)),
    h("td", { class: "number", "data-label": "Dropped" }, sum > 0 ? count(sum) : "0",
      dropped.map(([why, n]) => h("span", { class: "quiet block" }, `${count(n)} ${why.replaceAll("_", " ")}`))));
}
