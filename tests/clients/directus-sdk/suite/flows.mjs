// Flows and their operations; and a flow that is called.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "@directus/sdk";
import { ask, refused } from "./client.mjs";

test("flows and operations", async () => {
  const flow = await ask(sdk.createFlow({
    name: "Greets", status: "active", trigger: "webhook", accountability: "all", options: { method: "GET", async: false, return: "$last" },
  }));
  const operation = await ask(sdk.createOperation({
    flow: flow.id, key: "hello", name: "Hello", type: "transform", position_x: 1, position_y: 1, options: { json: { q: "{{$trigger.query.name}}" } },
  }));
  await ask(sdk.updateFlow(flow.id, { operation: operation.id }));
  assert.deepEqual(await ask(sdk.triggerFlow("GET", flow.id, { name: "Zoe" })), { q: "Zoe" });
  assert.equal((await ask(sdk.updateOperation(operation.id, { name: "Hi" }))).name, "Hi");
  assert.equal((await ask(sdk.readFlow(flow.id))).operations[0], operation.id);
  assert.ok((await ask(sdk.readFlows())).length > 0);
  assert.equal((await ask(sdk.readOperation(operation.id))).key, "hello");
  assert.ok((await ask(sdk.readOperations({ filter: { flow: { _eq: flow.id } } }))).length === 1);
  await ask(sdk.deleteOperation(operation.id));
  await ask(sdk.deleteFlow(flow.id));
  await refused(ask(sdk.readFlow(flow.id)), "FORBIDDEN");
});

test("several flows and operations", async () => {
  const flows = await ask(sdk.createFlows(["a", "b"].map((name) => ({ name, status: "inactive", trigger: "manual", options: {} }))));
  const keys = flows.map((row) => row.id);
  assert.deepEqual((await ask(sdk.updateFlows(keys, { description: "d" }))).map((row) => row.description), ["d", "d"]);
  assert.deepEqual((await ask(sdk.updateFlowsBatch(keys.map((id) => ({ id, icon: "bolt" }))))).map((row) => row.icon), ["bolt", "bolt"]);
  const operations = await ask(sdk.createOperations(["x", "y"].map((key) => ({ flow: keys[0], key, type: "log", position_x: 1, position_y: 1, options: { message: "m" } }))));
  const own = operations.map((row) => row.id);
  assert.deepEqual((await ask(sdk.updateOperations(own, { name: "n" }))).map((row) => row.name), ["n", "n"]);
  assert.deepEqual((await ask(sdk.updateOperationsBatch(own.map((id) => ({ id, name: "m" }))))).map((row) => row.name), ["m", "m"]);
  await ask(sdk.deleteOperations(own));
  await ask(sdk.deleteFlows(keys));
  assert.deepEqual(await ask(sdk.readFlows({ filter: { id: { _in: keys } } })), []);
});
