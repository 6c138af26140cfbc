// The server, its settings, and the small services.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "@directus/sdk";
import { ask, makeCollection, refused, token, unique, url } from "./client.mjs";

test("ping, health, info and the specification", async () => {
  assert.equal(await ask(sdk.serverPing()), "pong");
  assert.equal((await ask(sdk.serverHealth())).status, "ok");
  const info = await ask(sdk.serverInfo());
  assert.ok(info.project.project_name && info.version && info.queryLimit);
  assert.equal((await sdk.createDirectus(url).with(sdk.rest()).request(sdk.serverInfo())).version, undefined);
  assert.ok((await ask(sdk.readOpenApiSpec())).openapi.startsWith("3."));
});

test("settings", async () => {
  assert.equal((await ask(sdk.updateSettings({ project_descriptor: "Tests" }))).project_descriptor, "Tests");
  assert.equal((await ask(sdk.readSettings({ fields: ["project_descriptor"] }))).project_descriptor, "Tests");
});

test("random texts, and what is kept in memory", async () => {
  assert.equal((await ask(sdk.randomString(12))).length, 12);
  await ask(sdk.clearCache());
});

test("import and export", async () => {
  const name = unique("imported");
  await makeCollection(sdk, name);
  const file = (text, type, as) => {
    const data = new FormData();
    data.append("file", new Blob([text], { type }), as);
    return data;
  };
  await ask(sdk.utilsImport(name, file("title,views\nOne,1\nTwo,2\n", "text/csv", "a.csv")));
  await ask(sdk.utilsImport(name, file('[{"id": 1, "title": "Uno"}, {"title": "Three"}]', "application/json", "a.json")));
  const titles = (await ask(sdk.readItems(name, { sort: ["id"] }))).map((row) => row.title);
  assert.deepEqual(titles, ["Uno", "Two", "Three"]);
  await refused(ask(sdk.utilsImport(name, file("title,views\nFour,4\nFive,many\n", "text/csv", "a.csv"))), "INVALID_PAYLOAD");
  await ask(sdk.utilsExport(name, "csv", { fields: ["title"], sort: ["id"] }, { title: "Exported" }));
  const [exported] = await ask(sdk.readFiles({ filter: { title: { _eq: "Exported" } }, fields: ["id", "type"] }));
  assert.equal(await (await fetch(`${url}/assets/${exported.id}?access_token=${token}`)).text(), '"title"\n"Uno"\n"Two"\n"Three"\n');
});
