// A Better Auth server as its documentation sets one up, with its database in memory: sign-up by email and
// password, and tokens of the JWT plugin with every option at its default.
//
// Its operator's work, which Better Auth leaves to whoever runs it, is done by lines on standard input:
// `rotate` makes a new signing key beside the old ones, `withdraw` removes all keys but the newest.
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { createJwk, jwt } from "better-auth/plugins/jwt";

const server = createServer();
await once(server.listen(0, "127.0.0.1"), "listening");
const baseURL = `http://127.0.0.1:${server.address().port}`;

const database = { user: [], session: [], account: [], verification: [], jwks: [] };
const auth = betterAuth({
  baseURL,
  secret: "a secret of the test suite, 32 bytes and more",
  database: memoryAdapter(database),
  emailAndPassword: { enabled: true },
  plugins: [jwt()],
  telemetry: { enabled: false },
});
server.on("request", toNodeHandler(auth));

const work = {
  rotate: async () => createJwk({ context: await auth.$context }),
  withdraw: async () => database.jwks.splice(0, database.jwks.length - 1),
};
console.log(baseURL);
for await (const line of createInterface({ input: process.stdin })) {
  await work[line]();
  console.log(`${line}: ${database.jwks.length}`);
}
server.closeAllConnections();
server.close();
