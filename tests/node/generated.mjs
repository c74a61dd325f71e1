// Sends to the service at URL, as USER, what json-schema-faker and Postman's converter make from the contract that it
// publishes, and prints a line of JSON for each request. tests/api/test_clients.py runs this.
import { createRequire } from "node:module";

import { createGenerator } from "json-schema-faker";

const converter = createRequire(import.meta.url)("openapi-to-postmanv2");
const { URL: url, TOKEN, USER } = process.env;
const contract = await (await fetch(`${url}/openapi.json`)).json();

async function send(tool, method, path, query, headers, body) {
  const address = `${url}${path.replace("{user_id}", encodeURIComponent(USER))}?${new URLSearchParams(query)}`;
  const signedIn = { ...headers, Authorization: `Bearer ${TOKEN}` };
  const { status } = await fetch(address, { method, headers: signedIn, body });
  console.log(JSON.stringify({ tool, method, path, query, headers, body, status }));
}

const resolve = (node) =>
  node.$ref ? node.$ref.slice(2).split("/").reduce((value, name) => value[name], contract) : node;
const faker = createGenerator({ seed: 1, alwaysFakeOptionals: true });
// It reads a schema, not a contract, so the schemas that this one refers to go with it.
const fake = (schema) => faker.generate(structuredClone({ ...schema, components: contract.components }));

for (const [template, item] of Object.entries(contract.paths)) {
  for (const method of ["get", "put", "post", "patch", "delete"].filter((name) => name in item)) {
    const parameters = [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map(resolve);
    const [[type, media]] = Object.entries(item[method].requestBody?.content ?? { none: {} });
    for (let example = 0; example < 10; example++) {
      let path = template;
      const query = [];
      const headers = media.schema ? { "Content-Type": type } : {};
      for (const parameter of parameters.filter(({ name }) => name !== "user_id")) {
        const value = await fake(parameter.schema);
        if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, value);
        else if (parameter.in === "header") headers[parameter.name] = value;
        else query.push(...[value].flat().map((each) => [parameter.name, each]));
      }
      const body = media.schema && JSON.stringify(await fake(media.schema));
      await send("json-schema-faker", method.toUpperCase(), path, query, headers, body);
    }
  }
}

/** The requests of a Postman collection, whatever folders they are in. */
const requests = (item) => item.item?.flatMap(requests) ?? [item.request];
const pairs = (list) => list.map(({ key, value }) => [key, value]);

const collection = await new Promise((settle, fail) =>
  converter.convertV2({ type: "json", data: contract }, { parametersResolution: "Schema" }, (error, made) =>
    made?.result ? settle(made.output[0].data) : fail(error ?? made.reason),
  ),
);
for (const { method, url: { path, query, variable }, header, body } of requests(collection)) {
  // It leaves "<long>" for a whole number, "<date>" or "<string,null-date>" for a date and "<string>" for entity tags,
  // which a person replaces.
  const values = { ...Object.fromEntries(pairs(variable)), user_id: "{user_id}", id: 1 };
  const filled = path.map((part) => (part.startsWith(":") ? values[part.slice(1)] : part));
  const dated = (text) => text?.replace(/<[a-z,-]*date>/g, "2026-11-24");
  const asked = pairs(query).map(([name, value]) => [name, dated(value)]);
  const headers = Object.fromEntries(pairs(header).map(([name, value]) => [name, value === "<string>" ? "*" : value]));
  await send("openapi-to-postmanv2", method, `/${filled.join("/")}`, asked, headers, dated(body?.raw));
}
