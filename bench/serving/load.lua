-- For wrk: posts a body in which %SEED% is another number in every request, and prints what came of it as JSON.
-- LOAD_PATH, LOAD_BODY (one a line, sent in turns) and LOAD_HEADERS ("name: value", one a line) say what.
local bodies = {}
for body in (os.getenv("LOAD_BODY") or ""):gmatch("[^\n]+") do
  local before, after = body:match("^(.-)%%SEED%%(.*)$")
  bodies[#bodies + 1] = { before or body, after }
end
local headers = {}
for name, value in (os.getenv("LOAD_HEADERS") or ""):gmatch("([^:\n]+): *([^\n]*)") do
  headers[name] = value
end
local seed = tonumber(os.getenv("LOAD_FIRST_SEED") or "1")

function request()
  seed = seed + 1
  local before, after = unpack(bodies[seed % #bodies + 1])
  return wrk.format("POST", os.getenv("LOAD_PATH"), headers, after and before .. seed .. after or before)
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'LOAD {"requests":%d,"seconds":%.6f,"bytes":%d,"p50_ms":%.4f,"p90_ms":%.4f,"p99_ms":%.4f,"max_ms":%.4f,' ..
    '"wrong_status":%d,"broken":%d,"timed_out":%d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3,
    latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
