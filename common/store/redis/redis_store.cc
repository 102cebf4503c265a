#include "common/store/redis/redis_store.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/store/redis/redis_scripts.h"
#include "common/store/store_arguments.h"

namespace penstock {
namespace {

// A server refuses times beyond its calendar; what outlives a century is for ever.
constexpr absl::Duration kForEver = absl::Hours(24 * 36525);

// What all keys and channels begin with is its prefix from here on.
RedisAddress WithLayout(RedisAddress address) {
  absl::StrAppend(&address.prefix, "v", kRedisLayout, ":");
  return address;
}

// In milliseconds, rounded up; empty: for ever.
std::string TtlText(absl::Duration ttl) {
  if (ttl >= kForEver) return "";
  return absl::StrCat(absl::ToInt64Milliseconds(absl::Ceil(ttl, absl::Milliseconds(1))));
}

// The reply's status alone.
RedisCalls::Done StatusTo(Store::DoneStatus done) {
  return [done = std::move(done)](absl::StatusOr<RedisReply> reply) mutable {
    done(std::move(reply).status());
  };
}

// What `decode` makes of the reply.
template <typename T, typename Decode>
RedisCalls::Done DecodedTo(Store::Done<T> done, Decode decode) {
  return [done = std::move(done), decode](absl::StatusOr<RedisReply> reply) mutable {
    if (!reply.ok()) return done(std::move(reply).status());
    done(decode(*std::move(reply)));
  };
}

}  // namespace

RedisStore::RedisStore(RedisAddress address, const Clock& clock, uint64_t seed)
    : address_(WithLayout(std::move(address))),
      calls_(loop_, clock, address_, seed),
      // Another stream of pauses than that of the calls.
      subscriptions_(loop_, clock, address_, ~seed,
                     [this](const absl::Status& why) { calls_.NoteError(why); }) {}

std::string RedisStore::Key(absl::string_view kind, absl::string_view name) const {
  return absl::StrCat(address_.prefix, kind, ":", name);
}

std::string RedisStore::Key(absl::string_view kind, absl::string_view name, int64_t window) const {
  return absl::StrCat(address_.prefix, kind, ":", name, ":", window);
}

void RedisStore::Get(absl::string_view key, absl::Time deadline,
                     Done<std::optional<std::string>> done) {
  RedisCalls::Done decoded = DecodedTo(std::move(done), TextOf);
  if (absl::Status wrong = CheckStoreName("key", key); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), std::move(decoded));
  }
  calls_.Call({"GET", Key("v", key)}, deadline, std::move(decoded));
}

void RedisStore::Put(absl::string_view key, absl::string_view value, absl::Duration ttl,
                     absl::Time deadline, DoneStatus done) {
  const auto check = [&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("key", key));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(key, ttl));
    if (value.size() <= static_cast<size_t>(address_.max_value_bytes)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "store: a value of ", value.size(), " bytes, wanted at most ", address_.max_value_bytes));
  };
  if (absl::Status wrong = check(); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), StatusTo(std::move(done)));
  }
  const std::string ttl_text = TtlText(ttl);
  const std::string full_key = Key("v", key);
  calls_.Call(ttl_text.empty() ? RedisCommand({"SET", full_key, value})
                               : RedisCommand({"SET", full_key, value, "PX", ttl_text}),
              deadline, StatusTo(std::move(done)));
}

void RedisStore::Erase(absl::string_view key, absl::Time deadline, DoneStatus done) {
  if (absl::Status wrong = CheckStoreName("key", key); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), StatusTo(std::move(done)));
  }
  calls_.Call({"DEL", Key("v", key)}, deadline, StatusTo(std::move(done)));
}

void RedisStore::Write(absl::string_view kind, const RedisScript& script, absl::string_view name,
                       int64_t window, absl::Span<const StoreField> fields, absl::Duration ttl,
                       absl::Time deadline, DoneStatus done) {
  std::vector<std::string> arguments = {TtlText(ttl), absl::StrCat(kMostFields)};
  for (const StoreField& field : fields) {
    arguments.push_back(field.field);
    arguments.push_back(absl::StrCat(field.value));
  }
  calls_.Evaluate(script, Key(kind, name, window), std::move(arguments), deadline,
                  StatusTo(std::move(done)));
}

void RedisStore::Read(absl::string_view kind, absl::string_view name, int64_t window,
                      absl::Time deadline, Done<StoreFields> done) {
  RedisCalls::Done decoded =
      DecodedTo(std::move(done), [](const RedisReply& reply) { return FieldsOf(reply); });
  if (absl::Status wrong = CheckStoreName("name", name); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), std::move(decoded));
  }
  calls_.Call({"HGETALL", Key(kind, name, window)}, deadline, std::move(decoded));
}

void RedisStore::AddCounters(absl::string_view name, int64_t window,
                             absl::Span<const StoreField> deltas, absl::Duration ttl,
                             absl::Time deadline, DoneStatus done) {
  const auto check = [&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("name", name));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(name, ttl));
    return CheckStoreFields(name, deltas, std::numeric_limits<int64_t>::min());
  };
  if (absl::Status wrong = check(); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), StatusTo(std::move(done)));
  }
  Write("c", AddCountersScript(), name, window, deltas, ttl, deadline, std::move(done));
}

void RedisStore::ReadCounters(absl::string_view name, int64_t window, absl::Time deadline,
                              Done<StoreFields> done) {
  Read("c", name, window, deadline, std::move(done));
}

void RedisStore::Hold(const RedisScript& script, absl::string_view name, absl::string_view owner,
                      absl::Duration ttl, absl::Time deadline, Done<LeaseHolder> done) {
  RedisCalls::Done decoded =
      DecodedTo(std::move(done), [](const RedisReply& reply) { return LeaseHolderOf(reply); });
  absl::Status wrong = CheckLease(name, owner);
  wrong.Update(CheckStoreTtl(name, ttl));
  if (!wrong.ok()) return calls_.Refuse(std::move(wrong), std::move(decoded));
  calls_.Evaluate(script, Key("l", name), {std::string(owner), TtlText(ttl)}, deadline,
                  std::move(decoded));
}

void RedisStore::AcquireLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                              absl::Time deadline, Done<LeaseHolder> done) {
  Hold(AcquireLeaseScript(), name, owner, ttl, deadline, std::move(done));
}

void RedisStore::RenewLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                            absl::Time deadline, Done<LeaseHolder> done) {
  Hold(RenewLeaseScript(), name, owner, ttl, deadline, std::move(done));
}

void RedisStore::ReleaseLease(absl::string_view name, absl::string_view owner, absl::Time deadline,
                              DoneStatus done) {
  if (absl::Status wrong = CheckLease(name, owner); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), StatusTo(std::move(done)));
  }
  calls_.Evaluate(ReleaseLeaseScript(), Key("l", name), {std::string(owner)}, deadline,
                  StatusTo(std::move(done)));
}

void RedisStore::RaiseTotals(absl::string_view name, int64_t window,
                             absl::Span<const StoreField> totals, absl::Duration ttl,
                             absl::Time deadline, DoneStatus done) {
  const auto check = [&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("name", name));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(name, ttl));
    return CheckStoreFields(name, totals, 0);
  };
  if (absl::Status wrong = check(); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), StatusTo(std::move(done)));
  }
  Write("t", RaiseTotalsScript(), name, window, totals, ttl, deadline, std::move(done));
}

void RedisStore::ReadTotals(absl::string_view name, int64_t window, absl::Time deadline,
                            Done<StoreFields> done) {
  Read("t", name, window, deadline, std::move(done));
}

void RedisStore::TakeBudget(const BudgetTake& take, absl::Time deadline, Done<BudgetGrant> done) {
  RedisCalls::Done decoded =
      DecodedTo(std::move(done), [](const RedisReply& reply) { return BudgetGrantOf(reply); });
  if (absl::Status wrong = CheckBudgetTake(take); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), std::move(decoded));
  }
  calls_.Evaluate(TakeBudgetScript(), Key("t", take.name, take.window),
                  {TtlText(take.ttl), absl::StrCat(kMostFields), absl::StrCat(take.cap),
                   absl::StrCat(take.want), take.owner, absl::StrCat(take.granted),
                   absl::StrCat(take.returned), absl::StrCat(take.settled)},
                  deadline, std::move(decoded));
}

void RedisStore::Publish(absl::string_view channel, absl::string_view message, absl::Time deadline,
                         DoneStatus done) {
  if (absl::Status wrong = CheckStoreName("channel", channel); !wrong.ok()) {
    return calls_.Refuse(std::move(wrong), StatusTo(std::move(done)));
  }
  calls_.Call({"PUBLISH", absl::StrCat(address_.prefix, channel), message}, deadline,
              StatusTo(std::move(done)));
}

absl::StatusOr<std::unique_ptr<StoreSubscription>> RedisStore::Subscribe(
    absl::string_view channel, absl::AnyInvocable<void()> on_live,
    absl::AnyInvocable<void(absl::string_view message)> on_message) {
  PENSTOCK_RETURN_IF_ERROR(CheckStoreName("channel", channel));
  return subscriptions_.Subscribe(channel, std::move(on_live), std::move(on_message));
}

}  // namespace penstock
