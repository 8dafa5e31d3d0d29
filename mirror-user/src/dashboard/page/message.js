// Two messages side by side, with what differs marked.

import { h } from "./dom.js";
import { withTokens } from "./format.js";

const TOKEN = /\s*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|([^\s{}[\],:"]+))/y;
const escaped = (name) => String(name).replaceAll("~", "~0").replaceAll("/", "~1");

/** JSON in lines, each with the JSON Pointer of its value. Numbers and doubled members stay as they were written. */
export function jsonLines(text) {
  const lines = [{ indent: 0, text: "", pointer: "" }];
  const stack = [];
  let last = lines[0];
  const next = () => { last = { indent: stack.length, text: "", pointer: null }; lines.push(last); };
  TOKEN.lastIndex = 0;
  for (let end = 0; ; end = TOKEN.lastIndex) {
    const token = TOKEN.exec(text);
    if (!token) {
      // What is no JSON, or was cut off, is shown as it is.
      const rest = text.slice(end).trim();
      if (rest) { next(); last.text = rest; }
      return lines;
    }
    const [, sign, string, plain] = token;
    const frame = stack.at(-1);
    const pointer = frame ? `${frame.pointer}/${escaped(frame.key ?? frame.index)}` : "";
    if (sign === "}" || sign === "]") {
      stack.pop();
      if (!/[{[]$/.test(last.text)) next();
      last.text += sign;
    } else if (sign === ",") {
      last.text += ",";
      if (frame) { frame.index += 1; frame.name = frame.isObject; frame.key = null; }
      next();
    } else if (sign === ":") {
      last.text += ": ";
      if (frame) frame.name = false;
    } else if (string && frame?.name) {
      if (/[{[]$/.test(last.text)) next();
      try { frame.key = JSON.parse(string); } catch { frame.key = string; }
      last.text += string;
      last.pointer = `${frame.pointer}/${escaped(frame.key)}`;
    } else {
      if (/[{[]$/.test(last.text)) next();
      last.pointer = pointer;
      last.text += sign ?? string ?? plain;
      if (sign) stack.push({ pointer, index: 0, key: null, isObject: sign === "{", name: sign === "{" });
    }
  }
}

function lines(message) {
  if (message.format === "json") {
    return jsonLines(message.body).map(({ indent, text, pointer }) => ({ text: "  ".repeat(indent) + text, pointer }));
  }
  return message.body.split("\n").map((text) => ({ text, pointer: null }));
}

/** One side: start, fields and body. `other` is the other side, or null. */
export function message(name, side, of, other, differences) {
  const kind = of === "p" ? "left" : "right";
  const paths = new Set(differences.map((one) => one.path.split(".").slice(0, 2).join(".").toLowerCase()));
  const pointers = differences.filter((one) => one.ptr && one[of] !== null).map((one) => one.ptr);
  const isJson = side.format === "json";
  const have = new Set(other && !isJson ? lines(other).map((line) => line.text) : []);
  const differs = (line) => isJson
    ? line.pointer !== null && pointers.some((one) => line.pointer === one || line.pointer.startsWith(`${one}/`))
    : other && !have.has(line.text);
  const row = (on, ...content) => h("span", { class: on ? `line ${kind}` : "line" }, on && h("span", { class: "hidden" }, "differs: "), content, "\n");
  return h("section", { class: "side", "aria-label": name },
    h("h3", null, name),
    h("pre", { tabindex: "0", class: "head" },
      row(paths.has("status") && of !== "q", h("strong", null, withTokens(side.start))),
      side.fields.map(([field, value]) =>
        row(paths.has(`header.${field.toLowerCase()}`) || paths.has(`trailer.${field.toLowerCase()}`), h("b", null, field), ": ", withTokens(value)))),
    side.body
      ? h("pre", { tabindex: "0", class: "body" }, lines(side).map((line) => row(differs(line), withTokens(line.text))))
      : h("p", { class: "quiet" }, side.format === "empty" ? "without a body" : "the body is no text"),
    side.cut && h("p", { class: "quiet" }, "The rest is not kept."));
}
