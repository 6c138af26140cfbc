// Logging in and out in every mode, and what is the caller's own.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sdk from "@directus/sdk";
import { admin, ask, refused, unique, url } from "./client.mjs";

const account = { email: `${unique("zoe")}@example.com`, password: "a-long-password" };
const role = await ask(sdk.createRole({ name: "People" }));
const policy = await ask(sdk.createPolicy({ name: "App", app_access: true, roles: { create: [{ role: role.id }] } }));
const zoe = await ask(sdk.createUser({ ...account, role: role.id, token: unique("token") }));
const open = (authentication, options) => sdk.createDirectus(url, options).with(authentication).with(sdk.rest());

test("a static token", async () => {
  const client = sdk.createDirectus(url).with(sdk.staticToken("no-such-token")).with(sdk.rest());
  await refused(client.request(sdk.readMe()), "INVALID_CREDENTIALS");
  assert.equal((await admin.request(sdk.readMe({ fields: ["id"] }))).id.length, 36);
});

test("json: login, refresh by itself, logout", async () => {
  const client = open(sdk.authentication("json", { autoRefresh: true, msRefreshBeforeExpires: 30_000 }));
  const first = await client.login(account);
  assert.equal(first.expires, 900_000);
  assert.equal((await client.request(sdk.readMe())).id, zoe.id);
  assert.equal((await client.request(sdk.updateMe({ location: "Here" }))).id, zoe.id);
  const second = await client.refresh();
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal(await client.getToken(), second.access_token);
  await client.logout();
  await refused(open(sdk.authentication("json")).login({ ...account, password: "wrong" }), "INVALID_CREDENTIALS");
});

test("the commands of logging in, without a client that keeps tokens", async () => {
  const client = sdk.createDirectus(url).with(sdk.rest());
  const session = await client.request(sdk.login(account, { mode: "json" }));
  const renewed = await client.request(sdk.refresh({ mode: "json", refresh_token: session.refresh_token }));
  await client.request(sdk.logout({ mode: "json", refresh_token: renewed.refresh_token }));
  await refused(client.request(sdk.refresh({ mode: "json", refresh_token: renewed.refresh_token })), "INVALID_CREDENTIALS");
  assert.deepEqual(await client.request(sdk.readProviders()), []);
});

for (const mode of ["cookie", "session"]) {
  test(`${mode}: login, read, refresh, logout`, async () => {
    let jar;
    const withCookies = async (input, options = {}) => {
      const headers = new Headers(options.headers);
      if (jar) headers.set("Cookie", jar);
      const answer = await fetch(input, { ...options, headers });
      const set = answer.headers.getSetCookie()[0];
      if (set) jar = set.includes("Max-Age=0") ? undefined : set.split(";")[0];
      return answer;
    };
    const client = sdk.createDirectus(url, { globals: { fetch: withCookies } })
      .with(sdk.authentication(mode, { autoRefresh: false, credentials: "include" })).with(sdk.rest({ credentials: "include" }));
    await client.login(account);
    assert.equal((await client.request(sdk.readMe({ fields: ["id"] }))).id, zoe.id);
    await client.refresh();
    assert.equal((await client.request(sdk.readMe({ fields: ["id"] }))).id, zoe.id);
    await client.logout();
    assert.equal(jar, undefined);
  });
}

test("what is the caller's own", async () => {
  const client = sdk.createDirectus(url).with(sdk.staticToken(zoe.token === "**********" ? await token() : zoe.token)).with(sdk.rest());
  assert.deepEqual((await client.request(sdk.readRolesMe())).map((row) => row.id), [role.id]);
  assert.equal((await client.request(sdk.readPolicyGlobals())).app_access, true);
  assert.equal((await client.request(sdk.readUserPermissions())).directus_presets.read.access, "partial");
  assert.deepEqual(await client.request(sdk.readItemPermissions("directus_users", zoe.id)).catch((error) => error.errors[0].extensions.code), { update: { access: false }, delete: { access: false }, share: { access: false } });
  assert.deepEqual((await client.request(sdk.readUsers({ fields: ["id"] }))).map((row) => row.id), [zoe.id]);
  await refused(client.request(sdk.readUsers({ fields: ["token"] })), "FORBIDDEN");
  await ask(sdk.updatePolicy(policy.id, { description: "d" }));
});

/** A new static token, as it is shown once only. */
async function token() {
  const fresh = unique("token");
  await ask(sdk.updateUser(zoe.id, { token: fresh }));
  return fresh;
}
