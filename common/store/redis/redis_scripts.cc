#include "common/store/redis/redis_scripts.h"

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// First line of every script.
constexpr char kFlags[] = "#!lua flags=allow-oom\n";

// What scripts on a hash begin with.
constexpr char kRoom[] = R"(
local key = KEYS[1]
local fresh = redis.call('EXISTS', key) == 0
local function has_room(fields)
  local most = tonumber(ARGV[2])
  local size = redis.call('HLEN', key)
  if size + #fields <= most then return true end
  for _, field in ipairs(fields) do
    if redis.call('HEXISTS', key, field) == 0 then size = size + 1 end
  end
  return size <= most
end
local function every_second(from)
  local fields = {}
  for i = from, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
  return fields
end
local function keep()
  if fresh and ARGV[1] ~= '' then redis.call('PEXPIRE', key, ARGV[1]) end
end
local function full()
  return redis.error_reply('FULL more than ' .. ARGV[2] .. ' fields')
end
)";

// The server adds, exactly: Lua's numbers hold 53 bits.
constexpr char kAddCounters[] = R"(
if not has_room(every_second(3)) then return full() end
for i = 3, #ARGV, 2 do
  local sum = redis.pcall('HINCRBY', key, ARGV[i], ARGV[i + 1])
  if type(sum) == 'table' then
    for j = i - 2, 3, -2 do
      local delta = ARGV[j + 1]
      local negative = string.sub(delta, 1, 1) == '-'
      delta = negative and string.sub(delta, 2) or '-' .. delta
      if redis.call('HINCRBY', key, ARGV[j], delta) == 0 then redis.call('HDEL', key, ARGV[j]) end
    end
    return redis.error_reply('RANGE a counter overflows')
  end
end
keep()
return 1
)";

// Decimal texts without a sign or leading zeros compare by length first.
constexpr char kRaise[] = R"(
local function raise(field, total)
  local old = redis.call('HGET', key, field)
  if old and (#old > #total or (#old == #total and old >= total)) then return end
  redis.call('HSET', key, field, total)
end
)";

constexpr char kRaiseTotals[] = R"(
if not has_room(every_second(3)) then return full() end
for i = 3, #ARGV, 2 do raise(ARGV[i], ARGV[i + 1]) end
keep()
return 1
)";

// Numbers of two parts, {a, b} = a 10^9 + b with 0 <= b < 10^9, exact far beyond 64 bits.
constexpr char kTakeBudget[] = R"(
local part = 1000000000
local function number(text)
  if not text then return {0, 0} end
  if #text <= 9 then return {0, tonumber(text)} end
  return {tonumber(string.sub(text, 1, -10)), tonumber(string.sub(text, -9))}
end
local function text(n)
  if n[1] == 0 then return string.format('%.0f', n[2]) end
  return string.format('%.0f%09.0f', n[1], n[2])
end
local function add(m, n)
  local a, b = m[1] + n[1], m[2] + n[2]
  if b >= part then a, b = a + 1, b - part end
  return {a, b}
end
local function subtract(m, n)
  local a, b = m[1] - n[1], m[2] - n[2]
  if b < 0 then a, b = a - 1, b + part end
  return {a, b}
end
local function less(m, n)
  if m[1] ~= n[1] then return m[1] < n[1] end
  return m[2] < n[2]
end
local function least(m, n) if less(n, m) then return n end return m end
local function most(m, n) if less(m, n) then return n end return m end

local owner = ARGV[5]
if not has_room({'g/' .. owner, 'r/' .. owner, 's/' .. owner}) then return full() end
raise('g/' .. owner, ARGV[6])
raise('r/' .. owner, ARGV[7])
raise('s/' .. owner, ARGV[8])
keep()

local all = {}
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do all[fields[i]] = fields[i + 1] end
local function taken_by(name)
  local held = subtract(number(all['g/' .. name]), number(all['r/' .. name]))
  return most(held, number(all['s/' .. name]))
end
local taken = {0, 0}
for field in pairs(all) do
  local kind, name = string.sub(field, 1, 2), string.sub(field, 3)
  if kind == 'g/' or (kind == 's/' and not all['g/' .. name]) then
    taken = add(taken, taken_by(name))
  end
end

local granted = number(all['g/' .. owner])
local lost = subtract(granted, number(ARGV[6]))
local more = least(subtract(number(ARGV[4]), lost), subtract(number(ARGV[3]), taken))
more = most(more, {0, 0})
granted = add(granted, more)
if less({9223372036, 854775807}, granted) then
  return redis.error_reply('RANGE budget overflows')
end
taken = subtract(taken, taken_by(owner))
all['g/' .. owner] = text(granted)
redis.call('HSET', key, 'g/' .. owner, all['g/' .. owner])
taken = add(taken, taken_by(owner))
return {text(granted), text(least(taken, {9223372036, 854775807}))}
)";

constexpr char kHold[] = R"(
local key, owner, ttl = KEYS[1], ARGV[1], ARGV[2]
local holder = redis.call('GET', key)
local function hold()
  if ttl == '' then redis.call('SET', key, owner) else redis.call('SET', key, owner, 'PX', ttl) end
  return {1, owner}
end
)";
constexpr char kAcquire[] = R"(
if holder and holder ~= owner then return {0, holder} end
return hold()
)";
constexpr char kRenew[] = R"(
if holder ~= owner then return {0, holder or ''} end
return hold()
)";
constexpr char kRelease[] = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
)";

}  // namespace

const RedisScript& AddCountersScript() {
  static const RedisScript script(absl::StrCat(kFlags, kRoom, kAddCounters));
  return script;
}

const RedisScript& RaiseTotalsScript() {
  static const RedisScript script(absl::StrCat(kFlags, kRoom, kRaise, kRaiseTotals));
  return script;
}

const RedisScript& TakeBudgetScript() {
  static const RedisScript script(absl::StrCat(kFlags, kRoom, kRaise, kTakeBudget));
  return script;
}

const RedisScript& AcquireLeaseScript() {
  static const RedisScript script(absl::StrCat(kFlags, kHold, kAcquire));
  return script;
}

const RedisScript& RenewLeaseScript() {
  static const RedisScript script(absl::StrCat(kFlags, kHold, kRenew));
  return script;
}

const RedisScript& ReleaseLeaseScript() {
  static const RedisScript script(absl::StrCat(kFlags, kRelease));
  return script;
}

}  // namespace penstock
