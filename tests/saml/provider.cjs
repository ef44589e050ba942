// A SAML identity provider (samlp from npm) for the tests: node provider.cjs FOLDER KEY.pem CERTIFICATE.pem [ISSUER [FORMAT]]
// FOLDER is where samlp is installed; ISSUER is who it says it is, if not its own address; FORMAT that of its NameIDs. Prints {"issuer": …, "url": …} on
// its first line and ends with its standard input.
// Anybody may log in without a password; PUT /people/NAME sets the attributes of a person, each a text or a list.
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { createRequire } = require("node:module");

const [folder, key, cert, alias, format] = process.argv.slice(2);
const samlp = createRequire(`${folder}/package.json`)("samlp");

const people = new Map();

class ProfileMapper {
  constructor(person) { this.person = person; }
  getClaims() { return people.get(this.person) ?? {}; }
  getNameIdentifier() { return { nameIdentifier: this.person, nameIdentifierFormat: format }; }
}
ProfileMapper.prototype.metadata = [];

const FORM = (fields) => `<!doctype html><title>Log in</title><form method="post" action="/sso">
${Object.entries(fields).map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`).join("\n")}
<label>Name <input name="person"></label> <button>Log in</button></form>`;

const server = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const sent = Buffer.concat(pieces).toString();
  const url = new URL(request.url, "http://127.0.0.1");
  request.originalUrl = request.url;
  request.protocol = "http";
  request.query = Object.fromEntries(url.searchParams);
  request.body = Object.fromEntries(new URLSearchParams(sent));
  response.set = (name, value) => response.setHeader(name, value);
  response.send = (text) => response.end(text);
  const fail = (error) => { response.statusCode = 500; response.end(String(error)); };

  const set = request.method === "PUT" && url.pathname.match(/^\/people\/([\w.-]+)$/)?.[1];
  if (set) {
    people.set(set, JSON.parse(sent));
    response.writeHead(204).end();
    return;
  }
  if (url.pathname === "/metadata") {
    samlp.metadata({ ...identity, profileMapper: ProfileMapper, redirectEndpointPath: "/sso", postEndpointPath: "/sso" })(request, response);
    return;
  }
  if (url.pathname !== "/sso") {
    response.writeHead(204).end(); // a browser wants a favicon
    return;
  }
  samlp.parseRequest(request, (error, asked) => {
    if (error || !asked) { fail(error ?? "no request"); return; }
    const known = request.headers.cookie?.match(/idp=([\w.-]+)/)?.[1];
    const person = request.body.person ?? (asked.forceAuthn === "true" ? undefined : known);
    if (!person) {
      response.setHeader("Content-Type", "text/html");
      response.end(FORM({ SAMLRequest: request.query.SAMLRequest, RelayState: request.query.RelayState ?? "" }));
      return;
    }
    response.setHeader("Set-Cookie", `idp=${person}; Path=/; HttpOnly`);
    samlp.auth({
      ...identity,
      profileMapper: (name) => new ProfileMapper(name),
      getUserFromRequest: () => person,
      getPostURL: (audience, dom, req, callback) => callback(null, asked.assertionConsumerServiceURL),
      destination: asked.assertionConsumerServiceURL,
      recipient: asked.assertionConsumerServiceURL,
    })(request, response, fail);
  });
});

let identity;
server.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  identity = { issuer: alias || url, key: readFileSync(key), cert: readFileSync(cert, "utf8") };
  console.log(JSON.stringify({ issuer: identity.issuer, url }));
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
