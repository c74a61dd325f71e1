-- The mixed load of more connections than the service has room for: 429 and 503 with Retry-After are answers too.
local common = require("common")
local threads = {}

refused, wrong = 0, 0

function setup(thread)
  threads[#threads + 1] = thread
end

function response(status, headers)
  if status == 429 or status == 503 then
    refused = refused + 1
    if not (headers["retry-after"] or headers["Retry-After"]) then
      wrong = wrong + 1
    end
  elseif status >= 400 then
    wrong = wrong + 1
  end
end

request = common.mixed

function done(summary, latency)
  local wrong_answers, refusals = 0, 0
  for _, thread in ipairs(threads) do
    wrong_answers = wrong_answers + thread:get("wrong")
    refusals = refusals + thread:get("refused")
  end
  summary.errors.status = wrong_answers
  common.write(summary, latency, refusals)
end
