-- Prints what a run measured as one line of JSON, which load.py reads.
--
-- Exact counts come from wrk's own summary: a response() function would let us
-- look at each status, but makes wrk parse and copy every answer in Lua, which
-- costs more than most servers here take to send it.

-- A script sets this to false when wrk's latencies say nothing in its case.
latencies = true

local function percentile(latency, share)
  return latencies and string.format("%d", latency:percentile(share)) or "null"
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "bytes": %d, "microseconds": %d, '
      .. '"p50_us": %s, "p99_us": %s, "p999_us": %s, "error_statuses": %d, '
      .. '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d}}\n',
    summary.requests, summary.bytes, summary.duration,
    percentile(latency, 50), percentile(latency, 99), percentile(latency, 99.9),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
