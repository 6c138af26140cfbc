// Uploads a file with Directus's SDK, changes it, reads the bytes back, and deletes it. Prints what it saw, as JSON.
import { createDirectus, deleteFile, readAssetArrayBuffer, readFiles, rest, staticToken, updateFile, uploadFiles } from "@directus/sdk";

const [url, token] = process.argv.slice(2);
const client = createDirectus(url).with(staticToken(token)).with(rest());

const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const form = new FormData();
form.append("title", "From the SDK");
form.append("file", new Blob([png], { type: "image/png" }), "dot.png");
const file = await client.request(uploadFiles(form));
const renamed = await client.request(updateFile(file.id, { title: "Renamed", tags: ["a"] }));
const listed = await client.request(readFiles({ filter: { id: { _eq: file.id } }, fields: ["id", "type"] }));
const bytes = await client.request(readAssetArrayBuffer(file.id));
await client.request(deleteFile(file.id));
const gone = await client.request(readAssetArrayBuffer(file.id)).catch((error) => error.errors[0].extensions.code);
const refused = new FormData();
refused.append("file", new Blob([new Uint8Array(2_000_000)]), "large.bin");
const large = await client.request(uploadFiles(refused)).catch((error) => error.errors?.[0].extensions.code ?? String(error));

console.log(JSON.stringify({
  title: file.title, renamed: renamed.title, tags: renamed.tags, listed: listed.map((row) => row.type),
  size: [file.width, file.height], same: png.equals(Buffer.from(bytes)), gone, large,
}));
