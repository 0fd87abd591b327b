// In two rooms, and banned from one of them: the connection goes on with the other.
import { CHANNEL, cause, close, realtime, report, state, until } from "./chat-client.mjs";

const client = realtime();
const [here, there] = [CHANNEL, process.argv[2]].map((name) => client.channels.get(name));
const heard = [];
await there.subscribe((message) => heard.push(message.data));
const gone = state(here, "failed");
await here.presence.enter();
const reason = await gone;
await until(() => client.connection.state === "connected");
await there.publish("m", "still here");
await until(() => heard.length === 1);
const results = { channel: cause(reason), connection: client.connection.state, other: there.state };
await close(client);
report(results);
