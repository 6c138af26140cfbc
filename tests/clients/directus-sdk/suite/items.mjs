// Items: written and read in every way; queries; nested writes; singletons; versions.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as sdk from "@directus/sdk";
import { ask, makeCollection, refused, unique } from "./client.mjs";

const [posts, authors, tags, junction] = ["posts", "authors", "tags", "posts_tags"].map(unique);
const titles = (rows) => rows.map((row) => row.title);

before(async () => {
  await makeCollection(sdk, authors, { versioning: true });
  await makeCollection(sdk, tags);
  await makeCollection(sdk, posts, { versioning: true, sort_field: "place" }, [
    { field: "author", type: "integer" }, { field: "place", type: "integer" },
    { field: "tagged", type: "alias", meta: { special: ["m2m"] }, schema: null },
  ]);
  await makeCollection(sdk, junction, { hidden: true }, [{ field: "post", type: "integer" }, { field: "tag", type: "integer" }]);
  await ask(sdk.createField(authors, { field: "posts", type: "alias", meta: { special: ["o2m"] }, schema: null }));
  await ask(sdk.createRelation({ collection: posts, field: "author", related_collection: authors, meta: { one_field: "posts" } }));
  await ask(sdk.createRelation({ collection: junction, field: "post", related_collection: posts, meta: { one_field: "tagged", junction_field: "tag" } }));
  await ask(sdk.createRelation({ collection: junction, field: "tag", related_collection: tags, meta: { junction_field: "post" } }));
  await ask(sdk.createItems(authors, [{ title: "Ann", views: 30 }, { title: "Bob", views: 40 }]));
  await ask(sdk.createItems(posts, [
    { title: "First", views: 10, published: "2024-02-29T12:30:15", author: 1, tags: ["a", "b"], data: { x: 1 }, place: 1 },
    { title: "Second", views: 20, published: "2024-12-31T23:59:59", author: 1, place: 2 },
    { title: "Third", views: 30, author: 2, place: 3 },
  ]));
});

test("an item is created, read, changed and deleted", async () => {
  const made = await ask(sdk.createItem(authors, { title: "Cid", data: { a: [1] }, tags: ["x", "y"] }));
  assert.deepEqual([made.views, made.data, made.tags, made.posts], [0, { a: [1] }, ["x", "y"], []]);
  assert.deepEqual(await ask(sdk.readItem(authors, made.id, { fields: ["title"] })), { title: "Cid" });
  assert.deepEqual(await ask(sdk.updateItem(authors, made.id, { title: "Cyd" }, { fields: ["title"] })), { title: "Cyd" });
  await ask(sdk.deleteItem(authors, made.id));
  await refused(ask(sdk.readItem(authors, made.id)), "FORBIDDEN");
});

test("several items are created, changed and deleted", async () => {
  const made = await ask(sdk.createItems(tags, [{ title: "a" }, { title: "b" }, { title: "c" }], { fields: ["id"] }));
  const keys = made.map((row) => row.id);
  assert.deepEqual(titles(await ask(sdk.updateItems(tags, keys, { title: "x" }))), ["x", "x", "x"]);
  assert.deepEqual(titles(await ask(sdk.updateItemsBatch(tags, keys.map((id) => ({ id, title: `t${id}` }))))), keys.map((id) => `t${id}`));
  assert.deepEqual(titles(await ask(sdk.updateItems(tags, { filter: { id: { _eq: keys[0] } } }, { title: "q" }))), ["q"]);
  await ask(sdk.deleteItems(tags, keys.slice(0, 2)));
  await ask(sdk.deleteItems(tags, { filter: { id: { _eq: keys[2] } } }));
  assert.deepEqual(await ask(sdk.readItems(tags)), []);
});

test("queries", async () => {
  const read = (query) => ask(sdk.readItems(posts, query));
  assert.deepEqual(titles(await read({ filter: { views: { _gt: 10 } }, sort: ["-views"] })), ["Third", "Second"]);
  assert.deepEqual(titles(await read({ filter: { author: { title: { _eq: "Bob" } } } })), ["Third"]);
  assert.deepEqual(titles(await read({ filter: { _or: [{ title: { _in: ["First"] } }, { "year(published)": { _eq: 2024 } }] } })), ["First", "Second"]);
  assert.deepEqual(titles(await read({ search: "sec" })), ["Second"]);
  assert.deepEqual(titles(await read({ limit: 1, page: 2, sort: ["title"] })), ["Second"]);
  assert.deepEqual(titles(await read({ limit: 1, offset: 2, sort: ["title"] })), ["Third"]);
  assert.deepEqual(await read({ fields: ["title", { author: ["title", { posts: ["id"] }] }], limit: 1 }), [{ title: "First", author: { title: "Ann", posts: [{ id: 1 }, { id: 2 }] } }]);
  assert.deepEqual(await read({ fields: ["id", "month(published)"], limit: 1 }), [{ id: 1, published_month: 2 }]);
  assert.deepEqual(await ask(sdk.readItems(authors, {
    fields: ["title", { posts: ["title"] }], deep: { posts: { _limit: 1, _sort: ["-views"], _filter: { views: { _gt: 1 } } } }, limit: 1,
  })), [{ title: "Ann", posts: [{ title: "Second" }] }]);
  assert.deepEqual(await ask(sdk.readItems(authors, { fields: ["count(posts)"], sort: ["id"], limit: 2 })), [{ posts_count: 2 }, { posts_count: 1 }]);
  assert.deepEqual(await read({ alias: { name: "title" }, fields: ["name"], limit: 1 }), [{ name: "First" }]);
  assert.deepEqual(titles(await ask(sdk.withSearch(sdk.readItems(posts, { filter: { views: { _eq: 20 } } })))), ["Second"]);
  await refused(read({ fields: ["nope"] }), "FORBIDDEN");
  await refused(read({ filter: { views: { _contains: "x" } } }), "INVALID_QUERY");
  await refused(ask(sdk.readItems("directus_users")).catch((error) => { throw error.errors ? error : { errors: [{ extensions: { code: "CLIENT" } }] }; }), "CLIENT");
});

test("sums", async () => {
  const [all] = await ask(sdk.aggregate(posts, { aggregate: { count: "*", sum: ["views"], max: ["views"] } }));
  assert.deepEqual([Number(all.count), Number(all.sum.views), Number(all.max.views)], [3, 60, 30]);
  const groups = await ask(sdk.aggregate(posts, { aggregate: { count: "*" }, groupBy: ["author"], query: { sort: ["author"] } }));
  assert.deepEqual(groups.map((row) => [row.author, Number(row.count)]), [[1, 2], [2, 1]]);
});

test("nested writes", async () => {
  const made = await ask(sdk.createItem(posts, { title: "With author", author: { title: "Dora" }, tagged: [{ tag: { title: "red" } }, { tag: { title: "blue" } }] },
    { fields: ["id", { author: ["title"] }, { tagged: ["id", { tag: ["title"] }] }] }));
  assert.deepEqual([made.author, made.tagged.map((row) => row.tag.title)], [{ title: "Dora" }, ["red", "blue"]]);
  const changed = await ask(sdk.updateItem(posts, made.id, {
    tagged: { create: [{ tag: { title: "green" } }], update: [{ id: made.tagged[0].id, tag: { title: "RED" } }], delete: [made.tagged[1].id] },
  }, { fields: [{ tagged: [{ tag: ["title"] }] }] }));
  assert.deepEqual(changed.tagged.map((row) => row.tag.title).sort(), ["RED", "green"]);
  await refused(ask(sdk.createItem(posts, { title: "x", author: 999_999 })), "INVALID_FOREIGN_KEY");
  await ask(sdk.deleteItem(posts, made.id));
});

test("singletons", async () => {
  const name = unique("home");
  await makeCollection(sdk, name, { singleton: true });
  assert.deepEqual(await ask(sdk.readSingleton(name, { fields: ["id", "views", "title"] })), { id: null, views: 0, title: null });
  assert.equal((await ask(sdk.updateSingleton(name, { title: "Home" }))).title, "Home");
  assert.deepEqual(await ask(sdk.updateSingleton(name, { views: 2 }, { fields: ["title", "views"] })), { title: "Home", views: 2 });
  assert.equal((await ask(sdk.readSingleton(name))).id, 1);
});

test("content versions", async () => {
  const made = await ask(sdk.createContentVersion({ key: "draft", name: "Draft", collection: posts, item: "1" }));
  await ask(sdk.saveToContentVersion(made.id, { title: "Drafted" }));
  assert.equal((await ask(sdk.readItem(posts, 1, { version: "draft", fields: ["title"] }))).title, "Drafted");
  assert.equal((await ask(sdk.updateContentVersion(made.id, { name: "D" }))).name, "D");
  assert.equal((await ask(sdk.readContentVersion(made.id))).key, "draft");
  assert.equal((await ask(sdk.readContentVersions({ filter: { collection: { _eq: posts } } }))).length, 1);
  const compared = await ask(sdk.compareContentVersion(made.id));
  assert.deepEqual([compared.outdated, compared.current.title, compared.main.title], [false, "Drafted", "First"]);
  assert.equal(await ask(sdk.promoteContentVersion(made.id, compared.mainHash, ["title"])), "1");
  assert.equal((await ask(sdk.readItem(posts, 1))).title, "Drafted");
  await ask(sdk.updateItem(posts, 1, { title: "First" }));
  const [one, two] = await ask(sdk.createContentVersions(["a", "b"].map((key) => ({ key, collection: posts, item: "2" }))));
  await ask(sdk.updateContentVersions([one.id], { name: "x" }));
  await ask(sdk.updateContentVersionsBatch([{ id: two.id, name: "y" }]));
  await ask(sdk.deleteContentVersions([one.id, two.id]));
  await ask(sdk.deleteContentVersion(made.id));
});

test("items are sorted by hand, and commands take options", async () => {
  await ask(sdk.utilitySort(posts, 3, 1));
  assert.deepEqual(titles(await ask(sdk.readItems(posts, { sort: ["place"], limit: 3 }))), ["Third", "First", "Second"]);
  await ask(sdk.utilitySort(posts, 3, 2));
  const named = await ask(sdk.withOptions(sdk.readItems(posts, { limit: 1 }), (options) => ({ ...options, cache: "no-store" })));
  assert.equal(named.length, 1);
  assert.equal((await ask(sdk.customEndpoint({ path: `/items/${posts}/1`, method: "GET", params: { fields: ["id"] } }))).id, 1);
  await refused(ask(sdk.withToken("no-such-token", sdk.readItems(posts))), "INVALID_CREDENTIALS");
});
