// Which page is shown, and when it is shown again.

import { keepToken, listen, live, NeedsToken, reset } from "./api.js";
import { h, say } from "./dom.js";
import { count, moment } from "./format.js";
import { overview } from "./overview.js";
import { endpoint } from "./endpoint.js";
import { field } from "./field.js";
import { pair, request, requests, stored } from "./request.js";
import { rules } from "./rules.js";
import { health } from "./health.js";

const main = document.getElementById("main");
const status = document.getElementById("status");

// The first word of the address, the entry of the menu, and what shows it. The last says whether it changes by itself.
const PAGES = {
  "": ["overview", overview, true],
  endpoint: ["overview", endpoint, true],
  field: ["overview", field, false],
  requests: ["requests", requests, true],
  request: ["requests", request, false],
  stored: ["overview", stored, false],
  pair: ["requests", pair, false],
  rules: ["rules", rules, true],
  health: ["health", health, true],
};

let shown = 0;
let address = null;

async function show() {
  const [word = "", ...names] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [menu, page] = PAGES[word] ?? PAGES[""];
  const turn = ++shown;
  const isNew = address !== location.hash;
  try {
    const content = await page(...names);
    if (turn !== shown) return;
    put(content, isNew);
    address = location.hash;
    for (const link of document.querySelectorAll("[data-page]")) {
      if (link.dataset.page === menu) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const title = main.querySelector("h1")?.textContent ?? "";
    document.title = `${title} · mirror compare`;
    if (isNew) say(title);
  } catch (error) {
    if (turn !== shown) return;
    main.replaceChildren(error instanceof NeedsToken ? tokenForm() : h("p", { class: "note", role: "alert" }, error.message));
    address = null;
  }
}

// What has the focus, is open or was typed stays so when the same page is shown again.
function put(content, isNew) {
  const key = document.activeElement?.dataset?.key;
  const caret = document.activeElement?.type === "search" ? document.activeElement.selectionStart : null;
  const open = new Map([...main.querySelectorAll("details[data-key]")].map((one) => [one.dataset.key, one.open]));
  main.replaceChildren(content);
  if (isNew) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
    return;
  }
  for (const one of main.querySelectorAll("details[data-key]")) {
    if (open.has(one.dataset.key)) one.open = open.get(one.dataset.key);
  }
  const again = key && main.querySelector(`[data-key="${CSS.escape(key)}"]`);
  again?.focus?.({ preventScroll: true });
  if (again && caret !== null) again.setSelectionRange(caret, caret);
}

function tokenForm() {
  const input = h("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const send = (event) => {
    event.preventDefault();
    keepToken(input.value.trim());
    start();
  };
  return h("form", { class: "card narrow", onsubmit: send },
    h("h1", null, "Token"),
    h("p", { class: "quiet" }, "The token is in the file that --dashboard-token-file names."),
    h("label", { for: "token" }, "Token"), input,
    h("button", { type: "submit" }, "Open"));
}

// What is shown instead of the run's own comparison.
const judged = document.getElementById("judged");

function tellJudged(state) {
  judged.hidden = state === null;
  if (state === null) return;
  const rules = state.rules.length === 0 ? "" : ` with ${state.rules.length === 1 ? "a rule" : `${state.rules.length} rules`} made here`;
  const time = [["from", state.from], ["to", state.to]].filter(([, at]) => at !== null).map(([word, at]) => ` ${word} ${moment(at)}`).join("");
  const text = state.failed ? `Judging anew ended early: ${state.failed}` : `Judged anew${rules}${time}: ${count(state.pairs)} of ${count(state.compared)} pairs`;
  if (judged.firstChild?.textContent === text) return;
  judged.replaceChildren(h("span", null, text), h("button", { type: "button", class: "small", id: "live", "data-key": "live", onclick: live }, "Show the run's own"));
}

function changed(state) {
  tellJudged(state.judged);
  const ended = state.ended ? "all compared" : "live";
  status.replaceChildren(h("span", { class: `dot ${state.ended ? "ended" : "live"}` }), `${count(state.pairs)} pairs, ${ended}`);
  const [word = ""] = location.hash.replace(/^#\/?/, "").split("/");
  const [, , changes] = PAGES[word] ?? PAGES[""];
  // A page that somebody reads does not move under the eyes.
  if (changes && !window.getSelection()?.toString()) show();
}

function broken(error) {
  status.replaceChildren(h("span", { class: "dot broken" }), error instanceof NeedsToken ? "token needed" : "not connected");
}

document.getElementById("reset").addEventListener("click", async () => {
  if (!window.confirm("Count from zero? Samples and counts so far are gone.")) return;
  await reset();
  say("counted from zero");
  show();
});
window.addEventListener("hashchange", show);

function start() {
  show();
  listen(changed, broken);
}
start();
