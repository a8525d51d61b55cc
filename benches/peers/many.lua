-- For wrk: requests the scripts of a server, `/w0/` and so on. Arguments: their number, and `turn` (one after another) or `zipf`
-- (the n-th as often as one in n, by Zipf's law).
local count, turn, share = 0, true, {}

function init(args)
  count = tonumber(args[1])
  turn = args[2] == "turn"
  local sum = 0
  for n = 1, count do
    sum = sum + 1 / n
    share[n] = sum
  end
  math.randomseed(7)
end

local last = 0

local function pick()
  if turn then
    last = last % count + 1
    return last
  end
  local at = math.random() * share[count]
  local low, high = 1, count
  while low < high do
    local middle = math.floor((low + high) / 2)
    if share[middle] < at then low = middle + 1 else high = middle end
  end
  return low
end

function request()
  return wrk.format("GET", "/w" .. (pick() - 1) .. "/")
end
