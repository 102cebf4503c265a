#include "common/store/memory_store.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/store/store_arguments.h"

namespace penstock {
namespace {

// Subscriptions, and messages that wait to be handed out while one is.
constexpr size_t kMostSubscriptions = 1024;
constexpr size_t kMostDeliveries = 65'536;

const absl::Status& StatusIn(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusIn(const absl::StatusOr<T>& result) {
  return result.status();
}

int64_t Of(const StoreFields& fields, const std::string& field) {
  const auto it = fields.find(field);
  return it == fields.end() ? 0 : it->second;
}

// What `owner` takes of a budget.
int64_t TakenBy(const StoreFields& fields, absl::string_view owner) {
  return std::max(Of(fields, GrantedField(owner)) - Of(fields, ReturnedField(owner)),
                  Of(fields, SettledField(owner)));
}

int64_t Saturated(__int128 value) {
  constexpr __int128 kMost = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::min(value, kMost));
}

}  // namespace

class MemoryStore::Subscription final : public StoreSubscription {
 public:
  Subscription(MemoryStore& store, std::shared_ptr<Subscriber> subscriber)
      : store_(store), subscriber_(std::move(subscriber)) {}
  ~Subscription() override {
    store_.Unsubscribe(subscriber_);
    subscriber_->Close();
  }

 private:
  MemoryStore& store_;
  const std::shared_ptr<Subscriber> subscriber_;
};

MemoryStore::~MemoryStore() = default;

template <typename Result>
Result MemoryStore::Ended(Result result) {
  ++calls_;
  if (!StatusIn(result).ok()) ++failures_;
  if (StatusIn(result).code() == absl::StatusCode::kDeadlineExceeded) ++timeouts_;
  return result;
}

absl::Status MemoryStore::Begin(absl::Time deadline) {
  DropExpired();
  if (clock_.Now() < deadline) return absl::OkStatus();
  return absl::DeadlineExceededError("store: the call's deadline has passed");
}

void MemoryStore::DropExpired() {
  const absl::Time now = clock_.Now();
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    Drop(entries_.find(expiries_.begin()->second));
  }
}

void MemoryStore::Drop(Entries::iterator it) {
  const Entry& entry = it->second;
  const bool is_text = it->first.kind == Kind::kValue || it->first.kind == Kind::kLease;
  keys_ -= is_text ? 1 : entry.fields.size();
  bytes_ -= it->first.name.size() + entry.text.size();
  for (const auto& [field, value] : entry.fields) bytes_ -= field.size();
  expiries_.erase(entry.expiry);
  entries_.erase(it);
}

MemoryStore::Entry* MemoryStore::Find(const Key& key) {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

MemoryStore::Entry& MemoryStore::FindOrMake(Key key, absl::Duration ttl) {
  const auto [it, is_new] = entries_.try_emplace(key);
  if (is_new) {
    if (key.kind == Kind::kValue || key.kind == Kind::kLease) ++keys_;
    bytes_ += key.name.size();
    it->second.expiry = expiries_.emplace(clock_.Now() + ttl, std::move(key));
  }
  return it->second;
}

absl::Status MemoryStore::CheckRoom(size_t keys, size_t bytes) const {
  if (keys_ + keys > max_keys_) {
    return absl::ResourceExhaustedError(absl::StrCat("store: full, with ", keys_, " keys"));
  }
  if (bytes_ + bytes > max_bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat("store: full, with ", bytes_, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status MemoryStore::CheckFieldRoom(const Key& key, Entry* entry,
                                         absl::Span<const StoreField> fields) const {
  std::set<absl::string_view> added;
  size_t bytes = entry == nullptr ? key.name.size() : 0;
  for (const StoreField& field : fields) {
    if (entry != nullptr && entry->fields.contains(field.field)) continue;
    if (added.insert(field.field).second) bytes += field.field.size();
  }
  if (added.size() + (entry == nullptr ? 0 : entry->fields.size()) > kMostFields) {
    return absl::ResourceExhaustedError(
        absl::StrCat("store: '", key.name, "' would have more than ", kMostFields, " fields"));
  }
  return CheckRoom(added.size(), bytes);
}

void MemoryStore::SetField(Entry& entry, const std::string& field, int64_t value) {
  const auto [it, is_new] = entry.fields.try_emplace(field, value);
  if (is_new) {
    ++keys_;
    bytes_ += field.size();
  }
  it->second = value;
}

absl::Status MemoryStore::SetText(Key key, absl::string_view text, absl::Duration ttl) {
  const Entry* old = Find(key);
  const size_t frees = old == nullptr ? 0 : key.name.size() + old->text.size();
  const size_t takes = key.name.size() + text.size();
  PENSTOCK_RETURN_IF_ERROR(CheckRoom(old == nullptr ? 1 : 0, takes > frees ? takes - frees : 0));
  Entry& entry = FindOrMake(std::move(key), ttl);
  bytes_ -= entry.text.size();
  bytes_ += text.size();
  entry.text = std::string(text);
  // Moves the node in place of the old one.
  auto expiry = expiries_.extract(entry.expiry);
  expiry.key() = clock_.Now() + ttl;
  entry.expiry = expiries_.insert(std::move(expiry));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> MemoryStore::AddNow(absl::string_view name, int64_t window, int64_t amount,
                                            absl::Duration ttl) {
  PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(name, ttl));
  MutexLock lock(mutex_);
  DropExpired();
  Key key{.kind = Kind::kCounters, .name = std::string(name), .window = window};
  Entry* entry = Find(key);
  if (entry == nullptr || !entry->fields.contains("")) {
    PENSTOCK_RETURN_IF_ERROR(CheckRoom(1, key.name.size()));
    entry = &FindOrMake(std::move(key), ttl);
  }
  const int64_t old = Of(entry->fields, "");
  int64_t sum = 0;
  if (__builtin_add_overflow(old, amount, &sum)) {
    return absl::OutOfRangeError(
        absl::StrCat("store: counter '", name, "' overflows: ", old, " + ", amount));
  }
  SetField(*entry, "", sum);
  return sum;
}

absl::StatusOr<int64_t> MemoryStore::ReadNow(absl::string_view name, int64_t window) {
  MutexLock lock(mutex_);
  DropExpired();
  const Entry* entry = Find({.kind = Kind::kCounters, .name = std::string(name), .window = window});
  return entry == nullptr ? 0 : Of(entry->fields, "");
}

void MemoryStore::Get(absl::string_view key, absl::Time deadline,
                      Done<std::optional<std::string>> done) {
  done(Ended([&]() -> absl::StatusOr<std::optional<std::string>> {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("key", key));
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    const Entry* entry = Find({.kind = Kind::kValue, .name = std::string(key), .window = 0});
    if (entry == nullptr) return std::nullopt;
    return entry->text;
  }()));
}

void MemoryStore::Put(absl::string_view key, absl::string_view value, absl::Duration ttl,
                      absl::Time deadline, DoneStatus done) {
  done(Ended([&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("key", key));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(key, ttl));
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    return SetText({.kind = Kind::kValue, .name = std::string(key), .window = 0}, value, ttl);
  }()));
}

void MemoryStore::Erase(absl::string_view key, absl::Time deadline, DoneStatus done) {
  done(Ended([&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("key", key));
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    const auto it = entries_.find(Key{.kind = Kind::kValue, .name = std::string(key), .window = 0});
    if (it != entries_.end()) Drop(it);
    return absl::OkStatus();
  }()));
}

void MemoryStore::AddCounters(absl::string_view name, int64_t window,
                              absl::Span<const StoreField> deltas, absl::Duration ttl,
                              absl::Time deadline, DoneStatus done) {
  done(Ended([&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("name", name));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(name, ttl));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreFields(name, deltas, std::numeric_limits<int64_t>::min()));
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    if (deltas.empty()) return absl::OkStatus();
    Key key{.kind = Kind::kCounters, .name = std::string(name), .window = window};
    Entry* entry = Find(key);
    PENSTOCK_RETURN_IF_ERROR(CheckFieldRoom(key, entry, deltas));
    StoreFields sums;
    for (const StoreField& delta : deltas) {
      const auto [sum, is_new] = sums.try_emplace(delta.field, 0);
      if (is_new && entry != nullptr) sum->second = Of(entry->fields, delta.field);
      if (__builtin_add_overflow(sum->second, delta.value, &sum->second)) {
        return absl::OutOfRangeError(
            absl::StrCat("store: counter '", name, "' ", delta.field, " overflows"));
      }
    }
    Entry& made = FindOrMake(std::move(key), ttl);
    for (const auto& [field, sum] : sums) SetField(made, field, sum);
    return absl::OkStatus();
  }()));
}

absl::StatusOr<StoreFields> MemoryStore::Read(Kind kind, absl::string_view name, int64_t window,
                                              absl::Time deadline) {
  PENSTOCK_RETURN_IF_ERROR(CheckStoreName("name", name));
  MutexLock lock(mutex_);
  PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
  const Entry* entry = Find({.kind = kind, .name = std::string(name), .window = window});
  return entry == nullptr ? StoreFields() : entry->fields;
}

void MemoryStore::ReadCounters(absl::string_view name, int64_t window, absl::Time deadline,
                               Done<StoreFields> done) {
  done(Ended(Read(Kind::kCounters, name, window, deadline)));
}

void MemoryStore::ReadTotals(absl::string_view name, int64_t window, absl::Time deadline,
                             Done<StoreFields> done) {
  done(Ended(Read(Kind::kTotals, name, window, deadline)));
}

absl::StatusOr<LeaseHolder> MemoryStore::Hold(absl::string_view name, absl::string_view owner,
                                              absl::Duration ttl, absl::Time deadline,
                                              bool if_free) {
  PENSTOCK_RETURN_IF_ERROR(CheckLease(name, owner));
  PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(name, ttl));
  MutexLock lock(mutex_);
  PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
  Key key{.kind = Kind::kLease, .name = std::string(name), .window = 0};
  const Entry* entry = Find(key);
  if (entry == nullptr ? !if_free : entry->text != owner) {
    return LeaseHolder{.held = false, .owner = entry == nullptr ? "" : entry->text};
  }
  PENSTOCK_RETURN_IF_ERROR(SetText(std::move(key), owner, ttl));
  return LeaseHolder{.held = true, .owner = std::string(owner)};
}

void MemoryStore::AcquireLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                               absl::Time deadline, Done<LeaseHolder> done) {
  done(Ended(Hold(name, owner, ttl, deadline, /*if_free=*/true)));
}

void MemoryStore::RenewLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                             absl::Time deadline, Done<LeaseHolder> done) {
  done(Ended(Hold(name, owner, ttl, deadline, /*if_free=*/false)));
}

void MemoryStore::ReleaseLease(absl::string_view name, absl::string_view owner, absl::Time deadline,
                               DoneStatus done) {
  done(Ended([&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckLease(name, owner));
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    const auto it =
        entries_.find(Key{.kind = Kind::kLease, .name = std::string(name), .window = 0});
    if (it != entries_.end() && it->second.text == owner) Drop(it);
    return absl::OkStatus();
  }()));
}

absl::Status MemoryStore::Raise(const Key& key, absl::Span<const StoreField> totals,
                                absl::Duration ttl) {
  if (totals.empty()) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(CheckFieldRoom(key, Find(key), totals));
  Entry& entry = FindOrMake(key, ttl);
  for (const StoreField& total : totals) {
    SetField(entry, total.field, std::max(Of(entry.fields, total.field), total.value));
  }
  return absl::OkStatus();
}

void MemoryStore::RaiseTotals(absl::string_view name, int64_t window,
                              absl::Span<const StoreField> totals, absl::Duration ttl,
                              absl::Time deadline, DoneStatus done) {
  done(Ended([&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("name", name));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(name, ttl));
    PENSTOCK_RETURN_IF_ERROR(CheckStoreFields(name, totals, 0));
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    return Raise({.kind = Kind::kTotals, .name = std::string(name), .window = window}, totals, ttl);
  }()));
}

absl::StatusOr<BudgetGrant> MemoryStore::Take(const BudgetTake& take) {
  const Key key{.kind = Kind::kTotals, .name = take.name, .window = take.window};
  PENSTOCK_RETURN_IF_ERROR(Raise(key,
                                 {{GrantedField(take.owner), take.granted},
                                  {ReturnedField(take.owner), take.returned},
                                  {SettledField(take.owner), take.settled}},
                                 take.ttl));
  Entry& entry = *Find(key);
  __int128 taken = 0;  // a sum of many 64-bit totals
  for (const auto& [field, value] : entry.fields) {
    absl::string_view owner = field;
    if (absl::ConsumePrefix(&owner, "g/")) {
      taken += TakenBy(entry.fields, owner);
    } else if (absl::ConsumePrefix(&owner, "s/") && !entry.fields.contains(GrantedField(owner))) {
      taken += value;
    }
  }
  const int64_t granted = Of(entry.fields, GrantedField(take.owner));
  const __int128 lost = granted - take.granted;  // in replies that never came
  const __int128 more =
      std::max<__int128>(0, std::min<__int128>(take.want - lost, take.cap - taken));
  int64_t sum = 0;
  if (__builtin_add_overflow(granted, static_cast<int64_t>(more), &sum)) {
    return absl::OutOfRangeError(absl::StrCat("store: budget '", take.name, "' overflows"));
  }
  taken -= TakenBy(entry.fields, take.owner);
  SetField(entry, GrantedField(take.owner), sum);
  taken += TakenBy(entry.fields, take.owner);
  return BudgetGrant{.granted = sum, .taken = Saturated(taken)};
}

void MemoryStore::TakeBudget(const BudgetTake& take, absl::Time deadline, Done<BudgetGrant> done) {
  done(Ended([&]() -> absl::StatusOr<BudgetGrant> {
    PENSTOCK_RETURN_IF_ERROR(CheckBudgetTake(take));
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    return Take(take);
  }()));
}

void MemoryStore::Publish(absl::string_view channel, absl::string_view message, absl::Time deadline,
                          DoneStatus done) {
  const absl::Status status = Ended([&]() -> absl::Status {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("channel", channel));
    const auto shared = std::make_shared<const std::string>(message);
    MutexLock lock(mutex_);
    PENSTOCK_RETURN_IF_ERROR(Begin(deadline));
    const auto [from, to] = subscribers_.equal_range(std::string(channel));
    if (deliveries_.size() + std::distance(from, to) > kMostDeliveries) {
      return absl::ResourceExhaustedError(
          absl::StrCat("store: ", deliveries_.size(), " messages wait for their subscribers"));
    }
    for (auto it = from; it != to; ++it) deliveries_.push_back({it->second, shared});
    return absl::OkStatus();
  }());
  Deliver();
  done(status);
}

absl::StatusOr<std::unique_ptr<StoreSubscription>> MemoryStore::Subscribe(
    absl::string_view channel, absl::AnyInvocable<void()> on_live,
    absl::AnyInvocable<void(absl::string_view message)> on_message) {
  PENSTOCK_RETURN_IF_ERROR(CheckStoreName("channel", channel));
  auto subscriber =
      std::make_shared<Subscriber>(std::string(channel), std::move(on_live), std::move(on_message));
  {
    MutexLock lock(mutex_);
    if (subscribers_.size() >= kMostSubscriptions) {
      return absl::ResourceExhaustedError(
          absl::StrCat("store: ", subscribers_.size(), " subscriptions already"));
    }
    subscribers_.emplace(channel, subscriber);
    deliveries_.push_back({subscriber, nullptr});
  }
  auto subscription = std::make_unique<Subscription>(*this, std::move(subscriber));
  Deliver();
  return subscription;
}

void MemoryStore::Deliver() {
  {
    MutexLock lock(mutex_);
    if (delivering_) return;
    delivering_ = true;
  }
  for (;;) {
    Delivery delivery;
    {
      MutexLock lock(mutex_);
      if (deliveries_.empty()) {
        delivering_ = false;
        return;
      }
      delivery = std::move(deliveries_.front());
      deliveries_.pop_front();
    }
    if (delivery.message == nullptr) {
      delivery.to->Live();
    } else {
      delivery.to->Message(*delivery.message);
    }
  }
}

void MemoryStore::Unsubscribe(const std::shared_ptr<Subscriber>& subscriber) {
  MutexLock lock(mutex_);
  const auto [from, to] = subscribers_.equal_range(subscriber->channel());
  for (auto it = from; it != to; ++it) {
    if (it->second != subscriber) continue;
    subscribers_.erase(it);
    return;
  }
}

StoreState MemoryStore::state() const {
  StoreState state;
  state.connected = true;
  state.connected_since = made_at_;
  state.connections = 1;
  state.calls = calls_;
  state.failures = failures_;
  state.timeouts = timeouts_;
  return state;
}

}  // namespace penstock
