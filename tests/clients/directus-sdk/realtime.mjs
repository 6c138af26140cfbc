// Subscribes with Directus's SDK, while items are created, changed and deleted over REST; and asks over the socket. Prints what was heard.
import {
  authentication, createDirectus, createItem, deleteItem, realtime, rest, staticToken, updateItem,
} from "@directus/sdk";

const [url, token, collection] = process.argv.slice(2);
const admin = createDirectus(url).with(staticToken(token)).with(rest());
await admin.request(createItem(collection, { title: "first", views: 1 }));

const client = createDirectus(url).with(authentication("json")).with(realtime({ authMode: "handshake", reconnect: false }));
await client.setToken(token);
await client.connect();
const told = [];
client.onWebSocket("message", (message) => { if (message.type !== "subscription") told.push(message.type); });
const { subscription, unsubscribe } = await client.subscribe(collection, {
  query: { fields: ["id", "title"], filter: { views: { _gt: 0 } }, sort: ["id"] },
});
const heard = [];
for await (const message of subscription) {
  heard.push([message.event, message.data]);
  // not awaited: the SDK forgets what comes while nobody asks for the next message
  if (message.event === "init") admin.request(createItem(collection, { title: "second", views: 2 }));
  if (message.event === "create") admin.request(updateItem(collection, message.data[0].id, { title: "2nd" }));
  if (message.event === "update") admin.request(deleteItem(collection, message.data[0].id));
  if (message.event === "delete") break;
}
unsubscribe();
const answer = await new Promise((resolve) => {
  client.onWebSocket("message", (message) => { if (message.uid === "mine") resolve(message); });
  client.sendMessage({ type: "items", action: "read", collection, query: { fields: ["title"] }, uid: "mine" });
});
client.disconnect();
console.log(JSON.stringify({ heard, answer: answer.data, told }));
