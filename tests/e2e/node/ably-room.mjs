// One of several in a room: waits until all are there, says one thing, and hears everybody.
import { close, realtime, report, until } from "./ably-client.mjs";

const [name, count] = [process.argv[2], Number(process.argv[3])];
const capability = { "room:*": ["publish", "subscribe", "presence"] };
const client = realtime({ clientId: name, capability });
const channel = client.channels.get("room:all");
const heard = [];

await channel.subscribe((message) => heard.push([message.clientId, message.data]));
await channel.presence.enter();
await until(async () => (await channel.presence.get()).length === count);
await channel.publish("said", { from: name });
await until(() => heard.length === count);
await close(client);
report(heard);
