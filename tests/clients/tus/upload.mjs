// Uploads a file with tus-js-client. Prints what came of it, as JSON.
//   node upload.mjs URL TOKEN FILE begin        stops after some chunks, as when the line breaks
//   node upload.mjs URL TOKEN FILE resume PATH  goes on where the server says that it is
import { createReadStream, statSync } from "node:fs";
import * as tus from "tus-js-client";

const [url, token, file, mode, path] = process.argv.slice(2);
const offsets = [];
let fileId = null;

const upload = new tus.Upload(createReadStream(file), {
  endpoint: `${url}/files/tus`,
  uploadUrl: path ? url + path : null,
  uploadSize: statSync(file).size,
  chunkSize: 1024 * 1024,
  retryDelays: null,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename_download: "large.bin", type: "application/octet-stream", title: "In parts" },
  onAfterResponse: (_, response) => { fileId = response.getHeader("Directus-File-Id") ?? fileId; },
  onChunkComplete: (_size, accepted) => {
    offsets.push(accepted);
    if (mode === "begin" && accepted >= 2 * 1024 * 1024) upload.abort().then(() => finish("stopped"));
  },
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => finish("done"),
});

function finish(how) {
  console.log(JSON.stringify({ how, path: new URL(upload.url).pathname, offsets, fileId }));
  process.exit(0);
}

upload.start();
