// The vendor's realtime library, unmodified: emit, history, live events, and its SSE handler.
import { Realtime, handle } from "@upstash/realtime";
import { Redis } from "@upstash/redis";
import { z } from "zod";

const redis = new Redis({ url: process.env.URL_, token: process.env.TOKEN, retry: false });
const realtime = new Realtime({
  schema: { chat: { said: z.object({ text: z.string() }) } },
  redis,
  history: { maxLength: 100 },
});
const channel = realtime.channel("room");
await channel.emit("chat.said", { text: "before" });

const seen = [];
let enough;
const both = new Promise((resolve) => (enough = resolve));
const leave = await channel.subscribe({
  events: ["chat.said"],
  history: true,
  onData: ({ data }) => {
    seen.push(data.text);
    if (seen.length === 2) enough();
  },
});
await channel.emit("chat.said", { text: "after" });
await both;
leave();

const history = (await channel.history()).map(({ data }) => data.text);
const gone = new AbortController();
const request = new Request("http://localhost/?channel=room&last_ack_room=0", { signal: gone.signal });
const response = await handle({ realtime })(request);
const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
let stream = "";
while (!stream.includes("after")) stream += (await reader.read()).value;
gone.abort();

console.log(JSON.stringify({ seen, history, contentType: response.headers.get("content-type") }));
process.exit(0);
