// One of several in a room, by ably-js: hears everybody, says one thing, knows who is there.
import { CHANNEL, close, realtime, report, until } from "./chat-client.mjs";

const [name, count] = [process.argv[2], Number(process.argv[3])];
const client = realtime();
const channel = client.channels.get(CHANNEL);
const heard = [];

await channel.subscribe((message) => heard.push([message.clientId, message.data]));
await channel.presence.enter();
await until(async () => (await channel.presence.get()).length >= count);
const present = (await channel.presence.get()).map((one) => one.clientId).sort();
await channel.publish("said", { from: name });
await until(() => heard.length >= count);
const past = (await channel.history({ limit: count })).items.map((one) => one.clientId).sort();

// Who comes later asks for the last two.
const later = realtime();
const rewound = [];
await later.channels.get(CHANNEL, { params: { rewind: "2" } }).subscribe((one) => rewound.push(one.id));
await until(() => rewound.length >= 2);
await close(client, later);
report({ heard, present, past, rewound: rewound.length });
