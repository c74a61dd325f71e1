// Drives every operation of the service at URL through the typed client, and fails on the first answer that is wrong.
// tests/api/test_clients.py generates ./todo.ts, compiles this with --strict and runs it.
import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./todo.js";

type Task = components["schemas"]["Task"];
type Refusal = components["schemas"]["Refusal"];

const { URL: url, TOKEN, USER } = process.env as Record<"URL" | "TOKEN" | "USER", string>;
const client = createClient<paths, "application/json">({ baseUrl: url, headers: { Authorization: `Bearer ${TOKEN}` } });
const stranger = createClient<paths, "application/json">({ baseUrl: url });
const owner = { user_id: USER };

function refused(answer: { response: Response; error?: Refusal }, status: number, sentence: string): void {
  assert.deepEqual([status, { error: sentence }], [answer.response.status, answer.error]);
}

const created = await client.POST("/api/{user_id}/tasks", {
  params: { path: owner, header: { "Idempotency-Key": "first" } },
  body: { title: "Buy milk" },
});
assert.equal(201, created.response.status);
const task: Task | undefined = created.data;
assert(task);
assert.deepEqual([USER, "Buy milk", null, "incomplete"], [task.user_id, task.title, task.description, task.status]);
assert.ok(created.response.headers.get("Location")?.endsWith(`/tasks/${task.id}`));
const tag = created.response.headers.get("ETag");
assert.ok(tag);
const path = { ...owner, id: task.id };
const tasks = "/api/{user_id}/tasks";
const one = "/api/{user_id}/tasks/{id}";

const again = await client.POST(tasks, {
  params: { path: owner, header: { "Idempotency-Key": "first" } },
  body: { title: "Buy milk" },
});
assert.deepEqual(task, again.data);
refused(await client.POST(tasks, { params: { path: owner }, body: { title: "" } }), 400, "Title is required");
refused(
  await client.POST(tasks, {
    params: { path: owner, header: { "Idempotency-Key": "first" } },
    body: { title: "Buy tea" },
  }),
  422,
  "This Idempotency-Key was used with another body. Use a new key for a new task",
);

assert.deepEqual(task, (await client.GET(one, { params: { path } })).data);
const unchanged = await client.GET(one, { params: { path, header: { "If-None-Match": tag } } });
assert.deepEqual([304, tag], [unchanged.response.status, unchanged.response.headers.get("ETag")]);
refused(await client.GET(one, { params: { path: { ...path, id: task.id + 1 } } }), 404, "Task not found");
refused(await client.GET(one, { params: { path: { ...path, user_id: "nobody" } } }), 403, "Forbidden");
const anonymous = await stranger.GET(one, { params: { path } });
refused(anonymous, 401, "Unauthorized");
assert.equal("Bearer", anonymous.response.headers.get("WWW-Authenticate"));

const changed = await client.PUT(one, {
  params: { path, header: { "If-Match": tag } },
  body: { description: "Two litres", status: "complete" },
});
assert.deepEqual(["Two litres", "complete"], [changed.data?.description, changed.data?.status]);
const stale = "The task has changed since. Read it again and retry with its new ETag";
refused(await client.PUT(one, { params: { path, header: { "If-Match": tag } }, body: { title: "Late" } }), 412, stale);

const reopened = await client.PATCH("/api/{user_id}/tasks/{id}/complete", {
  params: { path },
  body: { status: "incomplete" },
});
assert.equal("incomplete", reopened.data?.status);
const completed = await client.PATCH("/api/{user_id}/tasks/{id}/complete", { params: { path } });
assert.equal("complete", completed.data?.status);

await client.POST(tasks, { params: { path: owner }, body: { title: "Buy bread" } });
const page = await client.GET(tasks, { params: { path: owner, query: { limit: 1 } } });
assert.deepEqual(["Buy bread"], page.data?.map((each) => each.title));
const cursor = /[?&]cursor=([0-9a-f]+).*>; rel="next"/.exec(page.response.headers.get("Link") ?? "")?.[1];
assert.ok(cursor);
const rest = await client.GET(tasks, { params: { path: owner, query: { limit: 1, cursor } } });
assert.deepEqual([completed.data], rest.data);
const done = await client.GET(tasks, { params: { path: owner, query: { status: ["complete"] } } });
assert.deepEqual([completed.data], done.data);

const patched = await client.PATCH(one, {
  params: { path },
  body: { priority: "high", due_date: "2026-11-24", tags: ["shopping"] },
  headers: { "Content-Type": "application/merge-patch+json" },
});
assert.deepEqual(["high", "2026-11-24", ["shopping"]], [
  patched.data?.priority, patched.data?.due_date, patched.data?.tags,
]);
const cleared = await client.DELETE(tasks, { params: { path: owner, query: { status: ["complete"] } } });
assert.deepEqual({ deleted: 1 }, cleared.data);
refused(await client.GET(one, { params: { path } }), 404, "Task not found");
const restored = await client.POST("/api/{user_id}/tasks/{id}/restore", { params: { path } });
assert.equal(task.id, restored.data?.id);

assert.equal(204, (await client.DELETE(one, { params: { path } })).response.status);
refused(await client.DELETE(one, { params: { path } }), 404, "Task not found");
const changes = await client.GET("/api/{user_id}/changes", { params: { path: owner } });
assert.deepEqual([["Buy bread"], false], [changes.data?.tasks.map((each) => each.title), changes.data?.more]);
assert.equal(204, (await client.DELETE("/api/{user_id}", { params: { path: owner } })).response.status);

for (const probe of ["/health/live", "/health/ready"] as const) {
  assert.deepEqual({ status: "ok" }, (await stranger.GET(probe)).data);
}
console.log("all operations");
