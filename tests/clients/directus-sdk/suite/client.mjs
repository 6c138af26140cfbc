// What the parts of the suite share: the administrator's client, and how a refusal is told.
import assert from "node:assert/strict";
import { createDirectus, rest, staticToken } from "@directus/sdk";

export const [url, token] = process.argv.slice(2);
export const admin = createDirectus(url).with(staticToken(token)).with(rest());
export const ask = (command) => admin.request(command);
export const unique = (name) => `${name}_${Math.random().toString(36).slice(2, 10)}`;

/** That the command is refused with this code. */
export async function refused(promise, code) {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error, `should have been refused with ${code}`);
  assert.equal(error.errors?.[0].extensions.code, code, JSON.stringify(error.errors ?? String(error)));
}

/** A collection of the test's own: title, views, published (dateTime), tags (csv), data (json). */
export async function makeCollection(sdk, name, meta = {}, fields = []) {
  return ask(sdk.createCollection({
    collection: name, schema: {}, meta,
    fields: [
      { field: "id", type: "integer", meta: { hidden: true }, schema: { is_primary_key: true, has_auto_increment: true } },
      { field: "title", type: "string", schema: { max_length: 100 } },
      { field: "views", type: "integer", schema: { default_value: 0 } },
      { field: "published", type: "dateTime" },
      { field: "tags", type: "csv" },
      { field: "data", type: "json" },
      ...fields,
    ],
  }));
}
