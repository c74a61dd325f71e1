// The same API in the fastest contract-first way that we know: Fastify with fastify-openapi-glue, which takes routes and
// validation from the contract, and hand-written SQL on node-postgres with prepared statements. Users are kept apart by
// the queries alone; cursors, conditional requests, Idempotency-Keys and further operations are left out.

import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'

import AjvCompiler from '@fastify/ajv-compiler'
import { createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import openapiGlue from 'fastify-openapi-glue'
import pg from 'pg'

const CONNECTIONS = 16
const CONTRACT = fileURLToPath(new URL('../../openapi/openapi.yaml', import.meta.url))
const COLUMNS = `id, user_id, title, description, status, priority, due_date, tags, created_at, updated_at`
const GIVEN = ['title', 'description', 'status', 'priority', 'due_date', 'tags']
const ORDERS = {
  '-created_at': 'created_at DESC',
  priority: `CASE priority WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END`,
  due_date: 'due_date NULLS LAST',
  '-due_date': 'due_date DESC NULLS LAST',
}

// Numbers below 2^53 are numbers, days stay text, and times keep their microseconds.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)
pg.types.setTypeParser(pg.types.builtins.DATE, (text) => text)
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => `${text.slice(0, 10)}T${text.slice(11).replace(/\+00$/, 'Z')}`)

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: CONNECTIONS,
  options: '-c timezone=UTC',
})
const names = new Map()
const verify = createVerifier({ key: process.env.AUTH_JWT_SECRET, algorithms: ['HS256'], requiredClaims: ['exp', 'sub'], cache: 4096 })

function refusal(statusCode, sentence) {
  return Object.assign(new Error(sentence), { statusCode })
}

async function rows(text, values) {
  let name = names.get(text)
  if (name === undefined) names.set(text, (name = `s${names.size}`))
  const result = await pool.query({ name, text, values })
  for (const row of result.rows) row.etag = `"${row.updated_at}"`
  return result.rows
}

async function one(text, values) {
  const [row] = await rows(text, values)
  if (row === undefined) throw refusal(404, 'Task not found')
  return row
}

const serviceHandlers = {
  async list_tasks({ params, query }) {
    const values = [params.user_id, query.limit]
    let where = 'user_id = $1 AND deleted_at IS NULL'
    if (query.status) where += ` AND status = ANY($${values.push(query.status)})`
    if (query.q) {
      const place = values.push(query.q)
      where += ` AND (strpos(lower(title), lower($${place})) > 0 OR strpos(lower(description), lower($${place})) > 0)`
    }
    return rows(`SELECT ${COLUMNS} FROM tasks WHERE ${where} ORDER BY ${ORDERS[query.sort]}, id DESC LIMIT $2`, values)
  },

  async create_task({ params, body }, reply) {
    const given = Object.keys(body)
    const places = given.map((_, index) => `$${index + 2}`)
    const task = await one(
      `WITH registered AS (INSERT INTO users (id) VALUES ($1) ON CONFLICT DO NOTHING)
       INSERT INTO tasks (user_id, ${given}) VALUES ($1, ${places}) RETURNING ${COLUMNS}`,
      [params.user_id, ...given.map((name) => body[name])],
    )
    reply.code(201).header('location', `/api/${params.user_id}/tasks/${task.id}`)
    return task
  },

  async get_task({ params }) {
    return one(`SELECT ${COLUMNS} FROM tasks WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL`, [params.user_id, params.id])
  },

  async update_task({ params, body }) {
    const given = GIVEN.filter((name) => name in body)
    const changes = given.map((name, index) => `${name} = $${index + 3}`)
    return one(
      `UPDATE tasks SET updated_at = now(), ${changes} WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING ${COLUMNS}`,
      [params.user_id, params.id, ...given.map((name) => body[name])],
    )
  },

  async complete_task({ params, body }) {
    return one(
      `UPDATE tasks SET status = $3, updated_at = CASE WHEN status = $3 THEN updated_at ELSE now() END
       WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING ${COLUMNS}`,
      [params.user_id, params.id, body?.status ?? 'complete'],
    )
  },

  async delete_task({ params }, reply) {
    await one(`DELETE FROM tasks WHERE user_id = $1 AND id = $2 RETURNING ${COLUMNS}`, [params.user_id, params.id])
    reply.code(204)
  },
}

const securityHandlers = {
  async bearer(request) {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ')
    let claims
    try {
      claims = verify(scheme === 'Bearer' ? token : '')
    } catch {
      throw refusal(401, 'Unauthorized')
    }
    if (claims.sub !== request.params.user_id) throw refusal(403, 'Forbidden')
  },
}

async function serve() {
  const fastify = Fastify()
  // Unknown members are refused instead of removed, bodies are taken as they are, and the contract's extensions are no
  // errors.
  const validators = (coerceTypes) =>
    AjvCompiler()({}, { customOptions: { strict: false, removeAdditional: false, useDefaults: true, coerceTypes } })
  const ofBodies = validators(false)
  const ofParameters = validators('array')
  fastify.setValidatorCompiler((route) => (route.httpPart === 'body' ? ofBodies : ofParameters)(route))
  fastify.setErrorHandler((error, request, reply) => {
    const cause = error.errors?.[0] ?? error
    // The greatest number of the contract is none of JavaScript, so the database may be the first to see one more.
    const status = error.code === '22003' ? 400 : (cause.statusCode ?? 500)
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    reply.code(status).type('application/json').send({ error: cause.message })
  })
  fastify.addHook('onSend', async (_request, reply) => {
    if (reply.getHeader('content-type')) reply.header('content-type', 'application/json')
  })
  await fastify.register(openapiGlue, {
    specification: CONTRACT,
    securityHandlers,
    operationResolver: (id) => serviceHandlers[id],
  })
  await fastify.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
}

const workers = Number(process.env.WEB_CONCURRENCY)
if (workers > 1 && cluster.isPrimary) {
  for (let number = 0; number < workers; number += 1) cluster.fork()
  process.on('SIGTERM', () => process.exit(0))
} else {
  await serve()
  process.on('SIGTERM', () => process.exit(0))
}
