// Ably's Chat SDK, unmodified, on a room of ours.
import { ChatClient } from "@ably/chat";
import { CHANNEL, close, realtime, report, until } from "./chat-client.mjs";

const client = realtime();
const room = await new ChatClient(client).rooms.get(CHANNEL);
const heard = [];
const typing = [];
const { historyBeforeSubscribe } = room.messages.subscribe(({ message }) => heard.push([message.clientId, message.text]));
room.typing.subscribe((event) => typing.push([...event.currentlyTyping]));
await room.attach();
await room.messages.send({ text: "grüße @alice" });
await until(() => heard.length === 1);
await room.typing.keystroke();
await until(() => typing.length > 0);
await room.presence.enter({ status: "here" });
await until(async () => (await room.presence.get()).length > 0);
const present = (await room.presence.get()).map((one) => one.clientId);
const past = (await room.messages.history({ limit: 5 })).items.map((one) => one.text);
const before = (await historyBeforeSubscribe({ limit: 5 })).items.length;
const occupancy = (await room.occupancy.get()).connections;
await close(client);
report({ heard, typing: typing[0], present, past, before, occupancy });
