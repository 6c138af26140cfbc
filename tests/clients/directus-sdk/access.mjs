// With Directus's SDK: an administrator lets a user read some; the user logs in, reads, refreshes and logs out. Prints what was seen, as JSON.
import {
  authentication, createDirectus, createItem, createPermission, createPolicy, createRole, createUser, readItemPermissions, readItems, readMe,
  readPolicyGlobals, readRolesMe, readUserPermissions, readUsers, rest, staticToken, updateRole,
} from "@directus/sdk";

const [url, token, collection] = process.argv.slice(2);
const admin = createDirectus(url).with(staticToken(token)).with(rest());
const code = (error) => error.errors?.[0].extensions.code ?? String(error);

const role = await admin.request(createRole({ name: "Readers" }));
const policy = await admin.request(createPolicy({ name: "Readers" }));
await fetch(`${url}/access`, {
  method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
  body: JSON.stringify({ role: role.id, policy: policy.id }),
});
await admin.request(createPermission({
  policy: policy.id, collection, action: "read", fields: ["id", "title"], permissions: { views: { _gt: 1 } },
}));
const account = { email: "zoe@example.com", password: "a-long-password" };
const zoe = await admin.request(createUser({ ...account, role: role.id }));
const [, open] = [
  await admin.request(createItem(collection, { title: "hidden", views: 1 })),
  await admin.request(createItem(collection, { title: "open", views: 2 })),
];

const client = createDirectus(url).with(authentication("json", { autoRefresh: false })).with(rest());
const before = await client.request(readItems(collection)).catch(code);
const first = await client.login(account);
const items = await client.request(readItems(collection));
const asked = await client.request(readItems(collection, { filter: { views: { _eq: 1 } } })).catch(code);
const users = await client.request(readUsers()).catch(code);
const me = await client.request(readMe());
const roles = await client.request(readRolesMe());
const globals = await client.request(readPolicyGlobals());
const permissions = await client.request(readUserPermissions());
const item = await client.request(readItemPermissions(collection, open.id));
const second = await client.refresh();
const again = await client.request(readItems(collection, { fields: ["title"] }));
await client.logout();
const after = await client.refresh().catch(code);

// a cookie jar of one cookie, as a browser has
let jar;
const withCookies = async (input, options = {}) => {
  const headers = new Headers(options.headers);
  if (jar) headers.set("Cookie", jar);
  const answer = await fetch(input, { ...options, headers });
  const set = answer.headers.getSetCookie()[0];
  if (set) jar = set.includes("Max-Age=0") ? undefined : set.split(";")[0];
  return answer;
};
const session = createDirectus(url, { globals: { fetch: withCookies } })
  .with(authentication("session", { autoRefresh: false, credentials: "include" }))
  .with(rest({ credentials: "include" }));
await session.login(account);
const byCookie = await session.request(readItems(collection, { fields: ["title"] }));
await session.refresh();
const refreshed = await session.request(readItems(collection, { fields: ["title"] }));
const kept = jar;
await session.logout();
const gone = jar === undefined;
jar = kept;
const ended = await session.request(readItems(collection)).catch(code);

await admin.request(updateRole(role.id, { description: "may read some" }));
console.log(JSON.stringify({
  before, items: items.map((row) => row.title), shape: Object.keys(items[0]), asked, users, me: me.id === zoe.id && Object.keys(me).length,
  roles: roles.map((row) => row.id === role.id), globals, access: permissions[collection].read, item: item.update,
  rotated: first.refresh_token !== second.refresh_token, again, after, byCookie, refreshed, gone, ended,
}));
