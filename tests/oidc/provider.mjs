// A certified OpenID provider (oidc-provider from npm) for the tests: node provider.mjs FOLDER REDIRECT_URI…
// FOLDER is where oidc-provider is installed. Prints {"issuer": …, "url": …} on its first line and ends with its standard input.
// Anybody may log in with any password; PUT /people/NAME sets the claims of a person.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, ...redirectUris] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);

const people = new Map();

function account(id) {
  return { accountId: id, claims: () => ({ sub: id, preferred_username: id, ...people.get(id) }) };
}

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: "chainweb",
    client_secret: "a secret of the tests alone",
    redirect_uris: redirectUris,
    token_endpoint_auth_method: "client_secret_post",
  }],
  claims: {
    openid: ["sub"],
    profile: ["preferred_username", "name"],
    email: ["email", "email_verified"],
    groups: ["groups"],
  },
  cookies: { keys: ["tests"] },
  findAccount: (context, id) => account(id),
  features: { devInteractions: { enabled: true } },
});

const answer = provider.callback();
server.on("request", async (request, response) => {
  const person = request.method === "PUT" && request.url.match(/^\/people\/([\w.-]+)$/)?.[1];
  if (!person) {
    answer(request, response);
    return;
  }
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  people.set(person, JSON.parse(Buffer.concat(pieces)));
  response.writeHead(204).end();
});

console.log(JSON.stringify({ issuer, url: issuer }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
