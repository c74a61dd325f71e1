-- What the loads share: the requests, made from the users of the file that BENCHMARK_USERS names, and the result,
-- written to the file that BENCHMARK_RESULT names, since wrk's own output is for people.

local common = {}
local users = {}
local tasks_per_user = tonumber(os.getenv("BENCHMARK_TASKS_PER_USER"))

-- Each line is a user's name, the number of the first of the user's tasks, and a token.
for line in io.lines(os.getenv("BENCHMARK_USERS")) do
  local name, first, token = line:match("^(%S+) (%d+) (%S+)$")
  users[#users + 1] = {
    tasks = "/api/" .. name .. "/tasks",
    first = tonumber(first),
    head = " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " .. token .. "\r\n",
  }
end

-- Every contestant gets the same requests in the same order.
math.randomseed(1)

local function bodiless(method, user, path)
  return method .. " " .. user.tasks .. path .. user.head .. "\r\n"
end

local function with_body(method, user, path, body)
  local headers = "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n"
  return method .. " " .. user.tasks .. path .. user.head .. headers .. body
end

local function any_user()
  return users[math.random(#users)]
end

local function any_task(user)
  return "/" .. string.format("%d", user.first + math.random(tasks_per_user) - 1)
end

function common.get()
  local user = any_user()
  return bodiless("GET", user, any_task(user))
end

function common.list(limit)
  return bodiless("GET", any_user(), "?limit=" .. limit)
end

function common.create()
  local number = math.random(1000000)
  local body = '{"title":"Task ' .. number .. ' of the benchmark","description":"Made under load, then left alone."}'
  return with_body("POST", any_user(), "", body)
end

function common.put()
  local user = any_user()
  return with_body("PUT", user, any_task(user), '{"title":"Changed ' .. math.random(1000000) .. ' under load"}')
end

function common.patch()
  local user = any_user()
  local status = math.random(2) == 1 and "complete" or "incomplete"
  return with_body("PATCH", user, any_task(user) .. "/complete", '{"status":"' .. status .. '"}')
end

function common.mixed()
  local dice = math.random(100)
  if dice <= 60 then
    return common.get()
  elseif dice <= 80 then
    return common.list(20)
  elseif dice <= 90 then
    return common.create()
  elseif dice <= 95 then
    return common.put()
  end
  return common.patch()
end

-- Latencies and the duration come from wrk in microseconds; `status` counts the answers of 400 and above, without those
-- that are `allowed`.
function common.write(summary, latency, allowed)
  local errors = summary.errors
  local result = io.open(os.getenv("BENCHMARK_RESULT"), "w")
  result:write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d, "allowed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, allowed
  ))
  result:close()
end

function common.done(summary, latency)
  common.write(summary, latency, 0)
end

return common
