// The platform's own collections, all written by the same commands: one row of the table is one of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "@directus/sdk";
import { ask, makeCollection, refused, unique, url } from "./client.mjs";

const me = await ask(sdk.readMe({ fields: ["id"] }));
const about = unique("about");
await makeCollection(sdk, about, {});
await ask(sdk.createItem(about, { title: "x" }));
const dashboard = await ask(sdk.createDashboard({ name: "For panels" }));
const policy = await ask(sdk.createPolicy({ name: "For permissions" }));
const place = { position_x: 1, position_y: 1, width: 4, height: 4 };

// of each: the name of one, of several, a new one, and a change of it
const TABLE = [
  ["Preset", "Presets", { collection: about, bookmark: "Mine" }, { bookmark: "Yours" }],
  ["Notification", "Notifications", { recipient: me.id, subject: "Hi" }, { status: "archived" }],
  ["Comment", "Comments", { collection: about, item: "1", comment: "hi" }, { comment: "ho" }],
  ["Translation", "Translations", { key: "hello", language: "en-US", value: "Hello" }, { value: "Hi" }],
  ["Dashboard", "Dashboards", { name: "Sales" }, { note: "n" }],
  ["Panel", "Panels", { dashboard: dashboard.id, type: "label", ...place }, { name: "n" }],
  ["Folder", "Folders", { name: "Docs" }, { name: "Texts" }],
  ["Role", "Roles", { name: "Readers" }, { description: "d" }],
  ["Policy", "Policies", { name: "Reading" }, { description: "d" }],
  ["Permission", "Permissions", { policy: policy.id, collection: about, action: "read", fields: ["*"] }, { fields: ["id"] }],
  ["User", "Users", () => ({ email: `${unique("u")}@example.com`, password: "a-long-password" }), { location: "Here" }],
  ["Share", "Shares", { collection: about, item: "1", name: "s" }, { name: "t" }],
];

test("a share lets whoever has its link read the item", async () => {
  const share = await ask(sdk.createShare({ collection: about, item: "1", password: "pw" }));
  const guest = sdk.createDirectus(url).with(sdk.rest());
  assert.equal((await guest.request(sdk.readShareInfo(share.id))).collection, about);
  const session = await guest.request(sdk.authenticateShare(share.id, "pw", "json"));
  assert.ok(session.access_token);
  await refused(guest.request(sdk.authenticateShare(share.id, "wrong")), "INVALID_CREDENTIALS");
  await refused(ask(sdk.inviteShare(share.id, ["nobody"])), "INVALID_PAYLOAD");
});

for (const [one, several, sample, change] of TABLE) {
  test(several, async () => {
    const fresh = () => (typeof sample === "function" ? sample() : sample);
    const command = (verb, name) => sdk[`${verb}${name}`] ?? assert.fail(`${verb}${name}`);
    const [[field, value]] = Object.entries(change);
    const made = await ask(command("create", one)(fresh()));
    const both = await ask(command("create", several)([fresh(), fresh()]));
    const keys = both.map((row) => row.id);
    assert.deepEqual((await ask(command("read", one)(made.id))).id, made.id);
    assert.deepEqual((await ask(command("read", several)({ filter: { id: { _in: keys } }, fields: ["id"] }))).length, 2);
    assert.deepEqual((await ask(command("update", one)(made.id, change)))[field], value);
    assert.deepEqual((await ask(command("update", several)(keys, change))).map((row) => row[field]), [value, value]);
    const batch = `update${several}Batch`;
    assert.deepEqual((await ask(sdk[batch](keys.map((id) => ({ id, ...change }))))).map((row) => row[field]), [value, value]);
    await ask(command("delete", one)(made.id));
    await ask(command("delete", several)(keys));
    await refused(ask(command("read", one)(made.id)), "FORBIDDEN");
  });
}

test("activity, revisions, and going back to one", async () => {
  const collection = unique("remembered");
  await ask(sdk.createCollection({ collection, schema: {}, meta: {}, fields: [{ field: "title", type: "string" }] }));
  const item = await ask(sdk.createItem(collection, { title: "before" }));
  await ask(sdk.updateItem(collection, item.id, { title: "after" }));
  const filter = { collection: { _eq: collection }, item: { _eq: String(item.id) } };
  const done = await ask(sdk.readActivities({ filter, sort: ["id"], fields: ["id", "action", "collection", "item", "revisions"] }));
  assert.deepEqual(done.map((entry) => entry.action), ["create", "update"]);
  const revisions = await ask(sdk.readRevisions({ filter, sort: ["id"] }));
  assert.deepEqual(revisions.map((revision) => revision.delta.title), ["before", "after"]);
  assert.deepEqual(done[0].revisions, [revisions[0].id]);
  const [first] = revisions;
  assert.equal((await ask(sdk.readActivity(first.activity))).action, "create");
  assert.equal((await ask(sdk.readRevision(first.id))).data.title, "before");
  await ask(sdk.customEndpoint({ path: `/utils/revert/${first.id}`, method: "POST" })); // it has no command of its own
  assert.equal((await ask(sdk.readItem(collection, item.id))).title, "before");
  assert.equal((await ask(sdk.readRevisions({ filter }))).length, 3);
  await refused(ask(sdk.readActivity(999_999_999)), "FORBIDDEN");
});
