// The vendor's Chat SDK, unmodified: send, history, subscribe, presence, typing, occupancy.
import { ChatClient } from "@ably/chat";
import { close, code, realtime, report, until } from "./ably-client.mjs";

const capability = { "room:*": ["publish", "subscribe", "presence", "history", "channel-metadata"] };
const clients = ["alice", "bob"].map((clientId) => realtime({ clientId, capability }));
const rooms = await Promise.all(
  clients.map((client) =>
    new ChatClient(client).rooms.get("room:42", { occupancy: { enableEvents: true } }),
  ),
);
const [alice, bob] = rooms;
const results = {};
const heard = [];
const typing = [];
const counts = [];
const shown = (one) => [one.text, one.clientId, one.metadata.mood ?? null, one.headers.lang ?? null];

await alice.messages.send({ text: "before" });
const { historyBeforeSubscribe } = bob.messages.subscribe(({ message }) => heard.push(message));
bob.typing.subscribe((event) => typing.push([...event.currentlyTyping]));
bob.occupancy.subscribe(({ occupancy }) => counts.push(occupancy.connections));
await Promise.all(rooms.map((room) => room.attach()));
const sent = await alice.messages.send({ text: "grüße", metadata: { mood: "fine" }, headers: { lang: "de" } });
await alice.messages.send({ text: "again" });
await until(() => heard.length === 2);
results.heard = heard.map(shown);
results.sent = [sent.text, sent.serial === heard[0].serial, sent.version.serial === sent.serial];
results.before = (await historyBeforeSubscribe({ limit: 10 })).items.map((one) => one.text);
const page = await alice.messages.history({ limit: 2 });
results.pages = [page.items.map((one) => one.text), (await page.next()).items.map((one) => one.text)];
await alice.typing.keystroke();
await until(() => typing.length > 0);
results.typing = typing[0];
await alice.presence.enter({ status: "here" });
const members = () => bob.presence.get();
await until(async () => (await members()).length > 0);
results.present = (await members()).map((one) => [one.clientId, one.data.status]);
await until(() => counts.at(-1) === 2);
results.occupancy = await bob.occupancy.get();
results.update = await code(alice.messages.update(sent.serial, { text: "other" }));
await close(...clients);
report(results);
