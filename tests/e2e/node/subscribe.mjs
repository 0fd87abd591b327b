// The vendor's client, unmodified: SUBSCRIBE and PSUBSCRIBE over server-sent events.
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.URL_, token: process.env.TOKEN, retry: false });

/** The next event of this type, as a promise. */
const next = (subscriber, type) => new Promise((resolve) => subscriber.on(type, resolve));

const room = redis.subscribe("room:1");
const rooms = redis.psubscribe("room:*");
await Promise.all([next(room, "subscribe"), next(rooms, "psubscribe")]);

const message = next(room, "message");
const pmessage = next(rooms, "pmessage");
const receivers = await redis.publish("room:1", { text: "grüße, 世界" });
const results = { receivers, message: await message, pmessage: await pmessage };

await Promise.all([room.unsubscribe(), rooms.unsubscribe()]);
console.log(JSON.stringify(results));
