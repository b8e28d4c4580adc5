-- Another query for each request, or another cookie, so that nothing decided for one serves the next.
-- The first argument differs from run to run: a server lives through several. The second is what differs.

local here = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(here .. "report.lua")

local threads = 0
local sent = 0
local before, after

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  local mark = "MARK"
  local path = wrk.path
  if args[2] == "query" then
    path = path .. "?" .. mark
  end
  local formatted = wrk.format("GET", path)
  local first, last = formatted:find(mark, 1, true)
  before = formatted:sub(1, first - 1) .. args[1] .. "-" .. number .. "-"
  after = formatted:sub(last + 1)
end

function request()
  sent = sent + 1
  return before .. sent .. after
end
