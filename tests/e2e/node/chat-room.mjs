// One of several in a room.
import { CHANNEL, realtime, report } from "./chat-client.mjs";
import { takePart } from "./chat-scenes.mjs";

const [as, count] = [process.argv[2], Number(process.argv[3])];
report(await takePart({ connect: realtime, channel: CHANNEL, as, count }));
