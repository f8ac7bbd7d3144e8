// A certified authorization server on loopback, which `start` runs: npm's oidc-provider, with faults.
//
//   node authorization-server.mjs FOLDER OPTIONS
//
// FOLDER has server.pem and server.key, and gets as.log. OPTIONS is JSON, see `options` below. Prints
// {"issuer", "plain"} when it is ready, and ends when its standard input does. README.md tells the rest.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { appendFileSync, readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { breakAnswer, faultsOf } from "./faults.mjs";

// An import would not look at NODE_PATH.
const provider = createRequire(import.meta.url).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(provider));

const folder = process.argv[2];
const options = {
  accessTokenSeconds: 3600,
  refreshTokenSeconds: 14 * 86400,
  rotate: true, // a used refresh token is void, and who uses it again loses the whole grant
  google: false, // refresh tokens as Google gives them: `access_type` and `prompt` decide, none on refresh
  ...JSON.parse(process.argv[3] ?? "{}"),
};

process.stdin.on("end", () => process.exit()).resume();

// The issuer has the port in it, which the kernel chooses.
const answer = { request: undefined };
const listen = (server) =>
  new Promise((done, failed) => {
    server.on("request", (...request) => answer.request(...request)).on("error", failed);
    server.listen(0, "127.0.0.1", () => done(server.address().port));
  });
const file = (name) => readFileSync(path.join(folder, name));
const port = await listen(https.createServer({ key: file("server.key"), cert: file("server.pem") }));
const plain = await listen(http.createServer());
const issuer = `https://localhost:${port}`;

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const MAIL_SCOPES = [
  "https://mail.google.com/",
  ...["IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"].flatMap((scope) => [
    scope,
    `https://outlook.office.com/${scope}`,
  ]),
  "https://outlook.office365.com/.default",
];
// Native clients may use any port of a loopback redirect (RFC 8252, section 7.3).
const person = {
  application_type: "native",
  redirect_uris: ["127.0.0.1", "localhost", "[::1]"].flatMap((host) => [
    `http://${host}`,
    `http://${host}/`,
    `http://${host}/callback`,
  ]),
  grant_types: ["authorization_code", "refresh_token", DEVICE],
  response_types: ["code"],
};
// A client of Google's form, which has two secrets while one is being replaced by the other.
const GOOGLE = "1234.apps.googleusercontent.com";
const machine = { redirect_uris: [], response_types: [] };
const clients = [
  { ...person, client_id: "desktop", token_endpoint_auth_method: "none" },
  {
    ...person,
    client_id: "desktop-with-secret",
    client_secret: "desktop-secret",
    token_endpoint_auth_method: "client_secret_post",
  },
  {
    ...person,
    client_id: GOOGLE,
    client_secret: "GOCSPX-the-first-secret",
    token_endpoint_auth_method: "client_secret_post",
  },
  {
    ...machine,
    client_id: "daemon",
    client_secret: "daemon-secret",
    token_endpoint_auth_method: "client_secret_post",
    grant_types: ["client_credentials"],
  },
  {
    ...machine,
    client_id: "introspector",
    client_secret: "introspector-secret",
    token_endpoint_auth_method: "client_secret_basic",
    grant_types: [],
  },
];

// Google gives a refresh token to whom asks for one the first time, and later only if the person
// is made to consent again.
const seen = new Set();
const withRefreshToken = new Set();
function noteGoogle(ctx) {
  const { params, client, account, entities } = ctx.oidc;
  if (!entities.AuthorizationCode || params.access_type !== "offline") return;
  const who = JSON.stringify([client.clientId, account.accountId]);
  if (!seen.has(who) || params.prompt?.split(" ").includes("consent")) {
    withRefreshToken.add(entities.AuthorizationCode.grantId);
  }
  seen.add(who);
}

const server = new Provider(issuer, {
  clients,
  // Whoever has a name has an account; the password is not looked at.
  findAccount: (_ctx, name) => ({
    accountId: name,
    claims: () => ({ sub: name, email: name, email_verified: true }),
  }),
  scopes: ["openid", "offline_access", "email", ...MAIL_SCOPES],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  conformIdTokenClaims: false, // the address is in the identity token, as with Google and Microsoft
  extraParams: ["access_type"],
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  pkce: { required: (_ctx, client) => client.clientAuthMethod === "none" },
  expiresWithSession: () => false,
  issueRefreshToken: (_ctx, client, source) =>
    client.grantTypeAllowed("refresh_token") &&
    (options.google && source.kind === "AuthorizationCode"
      ? withRefreshToken.has(source.grantId)
      : source.scopes.has("offline_access")),
  rotateRefreshToken: options.rotate && !options.google,
  ttl: {
    AccessToken: options.accessTokenSeconds,
    ClientCredentials: options.accessTokenSeconds,
    RefreshToken: options.refreshTokenSeconds,
    Grant: options.refreshTokenSeconds,
    AuthorizationCode: 600,
    DeviceCode: 600,
    IdToken: 3600,
    Interaction: 600,
    Session: 600,
  },
  cookies: { keys: ["test bed"] },
});

// Every line is written before its answer is, so that a client which has the answer finds the line.
const log = (line) => appendFileSync(path.join(folder, "as.log"), `${JSON.stringify(line)}\n`);
const note = (event) => (_ctx, error) =>
  log({ event, error: error?.error ?? null, description: error?.error_detail ?? error?.error_description ?? String(error) });
for (const event of ["authorization.error", "grant.error", "grant.revoked", "introspection.error", "revocation.error", "server_error"]) {
  server.on(event, note(event));
}
server.on("authorization.success", noteGoogle);

const { compareClientSecret } = server.Client.prototype;
server.Client.prototype.compareClientSecret = function (given) {
  return compareClientSecret.call(this, given) || (this.clientId === GOOGLE && given === "GOCSPX-the-second-secret");
};

// RFC 8628, section 3.5: who is told to slow down waits 5 seconds longer from then on, and 5 seconds
// from the beginning.
const paces = new Map();
function isTooSoon(code) {
  const pace = paces.get(code);
  return pace !== undefined && Date.now() - pace.last < pace.interval;
}
function notePace(code, slower) {
  const interval = (paces.get(code)?.interval ?? 5000) + (slower ? 5000 : 0);
  paces.set(code, { interval, last: Date.now() });
}

const faults = faultsOf(path.join(folder, "faults.json"));
const paused = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

server.use(async (ctx, next) => {
  const fault = faults(ctx.path);
  if (fault?.delay) await paused(fault.delay);
  if (fault?.replaces) {
    const params = Object.fromEntries(new URLSearchParams(await bodyOf(ctx.req)));
    log(lineOf(ctx, params, { fault: fault.name, status: fault.sends ?? null }));
    if (params.device_code) notePace(params.device_code, fault.body?.includes("slow_down"));
    ctx.respond = false;
    return breakAnswer(ctx.res, fault);
  }
  await next();
  const params = ctx.oidc?.params ?? {};
  if (params.grant_type === DEVICE && params.device_code) {
    const tooSoon = isTooSoon(params.device_code);
    notePace(params.device_code, tooSoon);
    if (tooSoon) {
      ctx.status = 400;
      ctx.body = { error: "slow_down" };
    }
  }
  // Not all servers say who they are (RFC 9207), and here it would not be Google.
  if (options.google) {
    const location = ctx.response.get("Location");
    if (location) ctx.set("Location", location.replace(/([?&])iss=[^&]*&?/, "$1").replace(/[?&]$/, ""));
  }
  // Google does not repeat what stays the same.
  if (options.google && params.grant_type === "refresh_token") delete ctx.body?.refresh_token;
  const introspected = ctx.path === "/token/introspection" && ctx.body;
  if (introspected?.active && !introspected.sub) {
    // A token that a client got for itself names nobody, and a mail server has to know a mailbox.
    introspected.sub = `${introspected.client_id}@example.com`;
  }
  if (fault && ctx.body && typeof ctx.body === "object") {
    Object.assign(ctx.body, fault.merge);
    for (const name of fault.remove ?? []) delete ctx.body[name];
  }
  const lost = fault?.drop === "after";
  log(
    lineOf(ctx, params, {
      fault: fault?.name ?? null,
      status: lost ? null : ctx.status,
      error: ctx.body?.error ?? null,
    }),
  );
  if (fault?.delay_after) await paused(fault.delay_after);
  if (lost) {
    ctx.respond = false;
    ctx.res.destroy();
  }
});

function lineOf(ctx, params, rest) {
  const basic = /^basic (.+)$/i.exec(ctx.get("authorization"))?.[1];
  return {
    request: `${ctx.method} ${ctx.path}`,
    grant: params.grant_type ?? null,
    client: params.client_id ?? (basic ? Buffer.from(basic, "base64").toString().split(":")[0] : null),
    ...rest,
  };
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

answer.request = server.callback();
console.log(JSON.stringify({ issuer, plain: `http://127.0.0.1:${plain}` }));
