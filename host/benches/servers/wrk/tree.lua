-- A file of the tree at random for each request. The requests are formatted once.

local here = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(here .. "report.lua")

local threads = 0
local formatted = {}

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  -- Each thread draws its own order, and the same one in every run.
  math.randomseed(number)
  for _, path in ipairs(args) do
    formatted[#formatted + 1] = wrk.format("GET", path)
  end
end

function request()
  return formatted[math.random(#formatted)]
end
