// A connection that is cut: what was said meanwhile, by others and by itself, arrives once.
import { close, control, realtime, report, state, until } from "./ably-client.mjs";

const capability = { "room:*": ["publish", "subscribe", "presence", "history"] };
const useBinaryProtocol = process.argv[2] === "msgpack";
const alice = realtime({ clientId: "alice", capability }, { useBinaryProtocol });
const bob = realtime({ clientId: "bob", capability });
const results = {};
const heard = [];
const events = [];

const channel = alice.channels.get("room:1");
const other = bob.channels.get("room:1");
await other.presence.subscribe((event) => events.push([event.action, event.clientId]));
await channel.subscribe((message) => heard.push(message.name));
await channel.presence.enter();
for (const name of ["1", "2"]) await other.publish(name, null);
const id = alice.connection.id;
const gone = state(alice.connection, "disconnected");
await control("PUT", "faults", { refuse_sockets: true });
await control("POST", "drop", { clientId: "alice" });
await gone;
for (const name of ["3", "4", "5"]) await other.publish(name, null);
const own = [channel.publish("own 1", null), channel.publish("own 2", null)];
const resumed = new Promise((done) => channel.once("update", (change) => done(change.resumed)));
const attached = new Promise((done) => channel.once("attached", (change) => done(change.resumed)));
await control("PUT", "faults", { refuse_sockets: false });
results.resumed = await Promise.race([resumed, attached]);
await Promise.all(own);
await other.publish("6", null);
await until(() => heard.includes("6"));
results.heard = heard;
results.sameConnection = alice.connection.id === id;
results.presence = events;
results.present = (await other.presence.get()).map((one) => one.clientId);
await close(alice, bob);
report(results);
