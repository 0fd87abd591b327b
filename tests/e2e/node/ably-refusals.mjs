// What the server says no to, how often it is then asked again, and which options it confirms.
import { createHmac } from "node:crypto";
import * as Ably from "ably";
import { address, close, code, realtime, report, rest, state } from "./ably-client.mjs";

const results = {};
const appId = process.env.KEY.split(".")[0];
const refusal = (promise) => promise.then(() => null, (error) => [error.statusCode, error.code]);

/** A JWT by a key that the server does not know. */
function jwt(kid) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "HS256", typ: "JWT", kid })}.${part({ iat: now, exp: now + 600 })}`;
  return `${signed}.${createHmac("sha256", "secret").update(signed).digest("base64url")}`;
}

/** The refusal over REST, the state that a connection ends in, and how often each asked for a token. */
async function presented(kid) {
  let calls = 0;
  const authCallback = (_, done) => {
    calls += 1;
    // More calls are a loop, which only an error of the callback ends.
    done(calls > 2 ? "too many calls" : null, jwt(kid));
  };
  const once = new Ably.Rest({ ...address, authCallback });
  const overRest = [await refusal(once.channels.get("a").history()), calls];
  calls = 0;
  const client = realtime({}, { authCallback });
  const reason = await Promise.race(["failed", "disconnected"].map((one) => state(client.connection, one)));
  const overRealtime = [client.connection.state, reason.code, calls];
  client.close();
  return { overRest, overRealtime };
}

results.unknownApp = await presented("none.key");
results.unknownKey = await presented(`${appId}.none`);

const stranger = new Ably.Rest({ key: `${appId}.none:secret`, ...address });
const answer = await stranger.request("GET", "/channels/a", 3);
results.basic = [answer.statusCode, answer.errorCode];

const capabilities = [{ "*": ["publish_"] }, { "*": ["*", "publish"] }, { "*": [] }, { "*": ["publish", "publish_"] }];
results.capabilities = [];
for (const capability of capabilities) {
  results.capabilities.push(await refusal(rest.auth.requestToken({ capability })));
}

const client = realtime({ capability: { "[*]*": ["*"] } });
const params = { delta: "vcdiff", rewind: "1", modes: "subscribe", echo: "false", appendMode: "full", occupancy: "metrics" };
const channel = client.channels.get("params", { params: { ...params, nonexistent: "x" } });
await channel.attach();
results.params = channel.params;
results.modes = channel.modes;
results.rewind = await code(client.channels.get("rewound", { params: { rewind: "soon" } }).attach());
results.name = await code(client.channels.get("[unknown]a").attach());
results.update = await code(client.channels.get("a").updateMessage({ serial: "1", data: "x" }));
results.annotate = await code(client.channels.get("a").annotations.publish("1", { type: "vote:flag.v1" }));
const objects = client.channels.get("objects", { modes: ["OBJECT_SUBSCRIBE"] });
await objects.attach();
results.objectModes = objects.modes;
await close(client);

const made = await (
  await fetch(`http://127.0.0.1:${process.env.PORT}/apps`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ channels: [{ name: "a", presence: [{ clientId: "fixed", data: "x" }] }] }),
  })
).json();
const { presence } = new Ably.Rest({ key: made.keys[0].keyStr, ...address }).channels.get("a");
const shown = (page) => page.items.map((one) => [one.action, one.clientId, one.data]);
results.present = shown(await presence.get());
results.history = shown(await presence.history());

const recover = JSON.stringify({ connectionKey: "0123456789!unknown", msgSerial: 3, channelSerials: {} });
const recovered = realtime({}, { recover });
results.recovered = (await state(recovered.connection, "connected")).code;
await close(recovered);
report(results);
