// The npm package `eventsource`, unmodified: prints the id of each event; reconnects by itself.
import { EventSource } from "eventsource";

const { URL_, TOKEN } = process.env;
const source = new EventSource(URL_, {
  fetch: (url, init) =>
    fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${TOKEN}` } }),
});
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

source.addEventListener("connected", () => print("connected"));
source.addEventListener("reset", () => print("reset"));
source.addEventListener("tick", ({ data }) => print(JSON.parse(data).id));
source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) print("closed");
});

// Its timer for the reconnect holds no process up, and ours should end with whoever reads it.
process.stdin.on("end", () => process.exit()).resume();
