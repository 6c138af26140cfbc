// Files: uploaded, described, read back, listed and deleted.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "@directus/sdk";
import { ask, refused } from "./client.mjs";

const form = (bytes, name) => {
  const data = new FormData();
  data.append("title", name);
  data.append("file", new Blob([new Uint8Array(bytes)], { type: "application/octet-stream" }), name);
  return data;
};

test("files and assets", async () => {
  const folder = await ask(sdk.createFolder({ name: "Texts" }));
  const file = await ask(sdk.uploadFiles(form([0, 1, 2, 255], "a.bin")));
  assert.deepEqual([file.title, Number(file.filesize)], ["a.bin", 4]);
  assert.equal((await ask(sdk.updateFile(file.id, { title: "A", folder: folder.id }))).folder, folder.id);
  assert.equal((await ask(sdk.updateFiles([file.id], { description: "d" })))[0].description, "d");
  assert.equal((await ask(sdk.updateFilesBatch([{ id: file.id, tags: ["t"] }])))[0].tags[0], "t");
  assert.equal((await ask(sdk.readFile(file.id, { fields: ["title"] }))).title, "A");
  assert.equal((await ask(sdk.readFiles({ filter: { folder: { _eq: folder.id } } }))).length, 1);
  assert.deepEqual([...new Uint8Array(await ask(sdk.readAssetArrayBuffer(file.id)))], [0, 1, 2, 255]);
  assert.equal((await ask(sdk.readAssetBlob(file.id))).size, 4);
  assert.ok(await ask(sdk.readAssetRaw(file.id)));
  await refused(ask(sdk.importFile("http://127.0.0.1:9/x", {})), "REQUEST_REFUSED"); // an address of the server's own network
  const other = await ask(sdk.uploadFiles(form([0], "b.bin")));
  await ask(sdk.deleteFile(file.id));
  await ask(sdk.deleteFiles([other.id]));
  await refused(ask(sdk.readFile(file.id)), "FORBIDDEN");
});
