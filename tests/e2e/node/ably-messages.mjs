// The vendor's client, unmodified: messages, history, presence, rewind, refusals, in one format.
import { close, code, realtime, report, rest, until } from "./ably-client.mjs";

const useBinaryProtocol = process.argv[2] === "msgpack";
const member = { clientId: "alice", capability: { "room:*": ["publish", "subscribe", "presence", "history"] } };
const reader = { clientId: "rita", capability: { "room:*": ["subscribe", "history"] } };
const alice = realtime(member, { useBinaryProtocol });
const rita = realtime(reader, { useBinaryProtocol });
const name = "room:1/ä?#";
const results = {};

const shown = (message) => [message.name, message.data, message.clientId ?? null];
const heard = [];
const channel = rita.channels.get(name);
await channel.subscribe((message) => heard.push(message));
results.modes = channel.modes;
const ours = alice.channels.get(name);
await ours.publish("text", "grüße 😀");
await ours.publish("object", { a: [1, "2", null] });
await ours.publish([{ name: "bytes", data: new Uint8Array([0, 255]).buffer }, { name: "none" }]);
await rest.channels.get(name).publish({ name: "rest", data: [1], id: "once" });
await rest.channels.get(name).publish({ name: "rest", data: [1], id: "once" });
await until(() => heard.length === 5);
heard[2].data = [...new Uint8Array(heard[2].data)];
results.heard = heard.map(shown);
results.serialsGrow = heard.every((one, i) => i === 0 || heard[i - 1].serial < one.serial);

const page = await ours.history({ limit: 3 });
const next = await page.next();
results.pages = [page.items.map((one) => one.name), next.items.map((one) => one.name), next.hasNext()];
results.forwards = (await ours.history({ direction: "forwards", limit: 1 })).items.map(shown);

const rewound = [];
const later = realtime(reader, { useBinaryProtocol });
await later.channels.get(name, { params: { rewind: "2" } }).subscribe((one) => rewound.push(one.name));
await until(() => rewound.length >= 3);
results.rewound = rewound;

const events = [];
await channel.presence.subscribe((event) => events.push([event.action, event.clientId, event.data ?? null]));
await ours.presence.enter("here");
await ours.presence.update("busy");
await until(() => events.length === 2);
results.present = (await channel.presence.get()).map((one) => [one.clientId, one.data]);
results.presentOverRest = (await rest.channels.get(name).presence.get()).items.map((one) => one.clientId);
await ours.presence.leave();
await until(() => events.length === 3);
results.presence = events;

results.readerPublishes = await code(channel.publish("x", "1"));
results.readerEnters = await code(channel.presence.enter());
results.foreignAttach = await code(rita.channels.get("other").attach());
results.connectionAfter = rita.connection.state;
results.otherIdentity = await code(ours.publish({ name: "x", clientId: "bob" }));
results.ping = (await alice.connection.ping()) >= 0;
await close(alice, rita, later);
report(results);
