// Collections, fields, relations, and the schema as a document.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "@directus/sdk";
import { ask, makeCollection, refused, unique } from "./client.mjs";

test("collections", async () => {
  const [one, two, folder] = [unique("c"), unique("c"), unique("folder")];
  const made = await makeCollection(sdk, one, { icon: "person", note: "People" });
  assert.equal(made.meta.icon, "person");
  await makeCollection(sdk, two);
  assert.equal((await ask(sdk.createCollection({ collection: folder, schema: null, meta: {} }))).schema, null);
  assert.equal((await ask(sdk.updateCollection(one, { meta: { note: "All", group: folder } }))).meta.group, folder);
  const changed = await ask(sdk.updateCollectionsBatch([{ collection: one, meta: { sort: 1 } }, { collection: two, meta: { hidden: true } }]));
  assert.deepEqual(changed.map((row) => [row.meta.sort, row.meta.hidden]), [[1, false], [null, true]]);
  assert.ok((await ask(sdk.readCollections())).some((row) => row.collection === one));
  await refused(ask(sdk.createCollection({ collection: one, schema: {}, meta: {} })), "INVALID_PAYLOAD");
  await refused(ask(sdk.createCollection({ collection: "directus_x", schema: {}, meta: {} })), "INVALID_PAYLOAD");
  for (const name of [one, two, folder]) await ask(sdk.deleteCollection(name));
  await refused(ask(sdk.readCollection(one)), "FORBIDDEN");
});

test("fields", async () => {
  const name = unique("f");
  await makeCollection(sdk, name);
  const made = await ask(sdk.createField(name, { field: "bio", type: "text", meta: { note: "Short", width: "half" } }));
  assert.deepEqual([made.type, made.meta.width, made.schema.is_nullable], ["text", "half", true]);
  const changed = await ask(sdk.updateField(name, "views", { meta: { note: "n" }, schema: { default_value: 18 } }));
  assert.deepEqual([changed.meta.note, changed.schema.default_value], ["n", 18]);
  const both = await ask(sdk.updateFields(name, [{ field: "bio", meta: { sort: 2 } }, { field: "title", meta: { sort: 1 } }]));
  assert.deepEqual(both.map((row) => row.meta.sort), [2, 1]);
  assert.equal((await ask(sdk.readField(name, "bio"))).field, "bio");
  assert.equal((await ask(sdk.readFieldsByCollection(name))).length, 7);
  assert.ok((await ask(sdk.readFields())).length > 50);
  await refused(ask(sdk.createField(name, { field: "bio", type: "text" })), "INVALID_PAYLOAD");
  await ask(sdk.deleteField(name, "bio"));
  await refused(ask(sdk.readField(name, "bio")), "FORBIDDEN");
});

test("relations", async () => {
  const [posts, authors] = [unique("posts"), unique("authors")];
  await makeCollection(sdk, authors);
  await makeCollection(sdk, posts, {}, [{ field: "author", type: "integer" }]);
  const made = await ask(sdk.createRelation({
    collection: posts, field: "author", related_collection: authors, meta: { one_field: "posts" }, schema: { on_delete: "SET NULL" },
  }));
  assert.deepEqual([made.schema.on_delete, made.meta.one_field], ["SET NULL", "posts"]);
  assert.equal((await ask(sdk.updateRelation(posts, "author", { schema: { on_delete: "CASCADE" } }))).schema.on_delete, "CASCADE");
  assert.equal((await ask(sdk.readRelation(posts, "author"))).related_collection, authors);
  assert.equal((await ask(sdk.readRelationByCollection(posts))).length, 1);
  assert.ok((await ask(sdk.readRelations())).length > 5);
  await ask(sdk.deleteRelation(posts, "author"));
  await refused(ask(sdk.readRelation(posts, "author")), "FORBIDDEN");
});

test("snapshot, diff and apply", async () => {
  const name = unique("s");
  await makeCollection(sdk, name, { note: "before" });
  const snapshot = await ask(sdk.schemaSnapshot());
  assert.equal(snapshot.version, 1);
  assert.equal(await ask(sdk.schemaDiff(snapshot)), null);
  await ask(sdk.updateCollection(name, { meta: { note: "after" } }));
  const diff = await ask(sdk.schemaDiff(snapshot));
  assert.deepEqual(diff.diff.collections.map((row) => row.collection), [name]);
  await refused(ask(sdk.schemaApply({ ...diff, hash: "wrong" })), "INVALID_PAYLOAD");
  await ask(sdk.schemaApply(diff));
  assert.equal((await ask(sdk.readCollection(name))).meta.note, "before");
});
