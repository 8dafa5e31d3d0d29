// Asks the server. A token, where one is needed, is kept for this tab alone.

const KEY = "mirror-token";

export class NeedsToken extends Error {}
export class NotFound extends Error {}

function headers() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export const keepToken = (token) => sessionStorage.setItem(KEY, token);

async function ask(path, options = {}) {
  const response = await fetch(`/api/v1/${path}`, { ...options, headers: headers(), cache: "no-store" });
  if (response.status === 401) throw new NeedsToken("a token is needed");
  if (response.status === 404) throw new NotFound("it is not there, or not kept any more");
  if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return response;
}

/** JSON of a path of names, each of which may hold anything. */
export const get = async (...names) => (await ask(names.map(encodeURIComponent).join("/"))).json();

const post = (...names) => ask(names.map(encodeURIComponent).join("/"), { method: "POST" });

export const reset = () => post("reset");

/** Judges anew what is stored, with a rule that ignores a field; the rule as YAML. */
export const ignore = async (...names) => (await post("ignore", ...names)).text();

/** Shows what the run itself compares. */
export const live = () => post("live");

/** Judges anew what is stored of a part of the time, in seconds since 1970; without it, shows what the run compares. */
export const range = (from, to) => (from === undefined ? live() : post("range", from ?? "-", to ?? "-"));

const wait = (millis) => new Promise((done) => { setTimeout(done, millis); });

/** Server-sent events, read by fetch, which can show a token. */
export async function listen(changed, broken) {
  for (;;) {
    try {
      const reader = (await ask("events")).body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data: "));
          if (data) changed(JSON.parse(data.slice(6)));
        }
      }
    } catch (error) {
      broken(error);
      if (error instanceof NeedsToken) return;
    }
    await wait(2000);
  }
}
