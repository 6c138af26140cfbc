// Every REST command of Directus's SDK for what Datastead has, against one running server: `node suite.mjs URL TOKEN`.
import "./suite/schema.mjs";
import "./suite/items.mjs";
import "./suite/system.mjs";
import "./suite/access.mjs";
import "./suite/files.mjs";
import "./suite/flows.mjs";
import "./suite/server.mjs";
