// Writes and reads items with the SDK's graphql(), and the platform's own. Prints what it saw, as JSON.
import { createDirectus, graphql, staticToken } from "@directus/sdk";

const [url, token] = process.argv.slice(2);
const client = createDirectus(url).with(staticToken(token)).with(graphql());

const made = await client.query(
  `mutation ($data: [create_articles_input!]) { create_articles_items(data: $data) { id title } }`,
  { data: [{ title: "a", views: 1 }, { title: "b", views: 2 }] },
);
const read = await client.query(`query ($least: GraphQLStringOrFloat) {
  articles(filter: { views: { _gt: $least } }) { title } articles_aggregated { countAll }
}`, { least: 1 });
const me = await client.query(`{ users_me { email } }`, {}, "system");
const wrong = await client.query(`{ nothing { id } }`).catch((error) => error.errors[0].extensions.code);
console.log(JSON.stringify({ made, read, me, wrong }));
