-- As many requests at once as the argument says; wrk sends the next ones when all are
-- answered.

local here = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(here .. "report.lua")

-- wrk takes the latency of a batch, and then corrects it by the time between requests as
-- if each were sent alone: what comes out is neither.
latencies = false

local batch

function init(args)
  batch = string.rep(wrk.format("GET"), tonumber(args[1]))
end

function request()
  return batch
end
