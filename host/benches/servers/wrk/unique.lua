-- Another query for each request, so that nothing decided for one URL serves the next.
-- The argument differs from run to run: a server lives through several.

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
  local formatted = wrk.format("GET", wrk.path .. "?" .. args[1] .. "-" .. number .. "-" .. mark)
  local first, last = formatted:find(mark, 1, true)
  before, after = formatted:sub(1, first - 1), formatted:sub(last + 1)
end

function request()
  sent = sent + 1
  return before .. sent .. after
end
