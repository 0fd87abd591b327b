// What a reader's token does not let it do, and what Ably does not take for a token.
import * as Ably from "ably";
import { AUTH_URL, CHANNEL, address, authHeaders, cause, close, code, realtime, report, rest, state } from "./chat-client.mjs";

const results = {};
const client = realtime();
const channel = client.channels.get(CHANNEL);
await channel.subscribe(() => {});
results.publish = await code(channel.publish("x", "1"));
results.publishByRest = await code(rest().channels.get(CHANNEL).publish("x", "1"));
results.enter = await code(channel.presence.enter());
results.foreign = await code(client.channels.get("room:of-others").attach());
results.wildcard = await code(client.channels.get("room:*").attach());
results.connection = client.connection.state;
await close(client);

// Our endpoint says who somebody is, whatever a client asks it for.
const claiming = realtime({ clientId: "alice" });
results.claimed = cause(await Promise.race(["failed", "disconnected"].map((one) => state(claiming.connection, one))));
claiming.close();

const asked = await fetch(`${AUTH_URL}?clientId=alice&capability=%7B%22*%22%3A%5B%22*%22%5D%7D`, { headers: authHeaders });
const request = await asked.json();
results.given = request.clientId;
const exchange = (one) => code(new Ably.Rest({ authCallback: (_, done) => done(null, one), ...address }).auth.requestToken());
results.first = await exchange(request);
results.replayed = await exchange(request);
results.tampered = await exchange({ ...(await (await fetch(AUTH_URL, { headers: authHeaders })).json()), clientId: "alice" });
report(results);
