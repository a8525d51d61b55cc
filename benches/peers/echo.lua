-- For wrk: posts 4 KB of JSON.
local users = {}
for id = 1, 76 do
  users[id] = string.format('{"id":%d,"name":"user %d","tags":["a","b"],"on":true}', id, id)
end
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = "[" .. table.concat(users, ",") .. "]"
