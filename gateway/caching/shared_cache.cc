#include "gateway/caching/shared_cache.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/number_bytes.h"

namespace penstock::gateway {
namespace {

// Another layout gets another number, so that gateways of two releases share nothing by mistake.
constexpr absl::string_view kSchema = "penstock-answer-1\n";
// A write that takes longer is given up by the store.
constexpr absl::Duration kWriteTimeout = absl::Seconds(1);

std::string NameOf(const CacheKey& key) {
  return absl::StrCat("answer/", ToHex(key.digest));
}

}  // namespace

std::string EncodeShared(const CacheKey& key, const KeptAnswer& answer, absl::Time until) {
  std::string value(kSchema);
  value.reserve(kSchema.size() + 24 + key.size() + answer.body.size());
  AppendNumber(value, static_cast<uint64_t>(absl::ToUnixMicros(until)));
  AppendNumber(value, key.head.size());
  AppendNumber(value, key.tensors.size());
  value.append(key.head);
  for (const Bytes* bytes : {&key.tensors, &answer.body}) {
    for (const Bytes::Piece& piece : bytes->pieces()) {
      value.append(piece.data.data(), piece.data.size());
    }
  }
  return value;
}

DecodedShared DecodeShared(absl::string_view value, const CacheKey& key) {
  DecodedShared decoded;
  uint64_t until = 0, head = 0, tensors = 0;
  if (!absl::ConsumePrefix(&value, kSchema) || !TakeNumber(value, until) ||
      !TakeNumber(value, head) || !TakeNumber(value, tensors) || head > value.size() ||
      tensors > value.size() - head) {
    return decoded;
  }
  const CacheKey told{.head = std::string(value.substr(0, head)),
                      .tensors = Bytes::Static(value.substr(head, tensors)),
                      .digest = {}};
  if (!SameKey(told, key)) return decoded;
  decoded.until = absl::FromUnixMicros(static_cast<int64_t>(until));
  decoded.answer = std::make_shared<const KeptAnswer>(
      KeptAnswer{Bytes(std::string(value.substr(head + tensors)))});
  return decoded;
}

void SharedCache::Find(std::shared_ptr<const CacheKey> key, absl::Time deadline, Found found) {
  if (key->size() > options_.max_entry_bytes) return found(nullptr, absl::InfinitePast());
  const absl::Time now = clock_.Now();
  const StorePatience::Turn turn = patience_->NextRead(now);
  if (turn != StorePatience::Turn::kWait) {
    observer_.StoreAnswered(CacheObserver::StoreResult::kReadSkipped);
    found(nullptr, absl::InfinitePast());
    if (turn == StorePatience::Turn::kSkip) return;
    deadline = absl::InfiniteFuture();
    found = [](std::shared_ptr<const KeptAnswer>, absl::Time) {};
  }
  const absl::Time give_up = now + options_.timeout;
  const std::string name = NameOf(*key);
  store_.Get(name, std::min(deadline, give_up),
             [key = std::move(key), &observer = observer_, &clock = clock_, patience = patience_,
              give_up,
              found = std::move(found)](absl::StatusOr<std::optional<std::string>> value) mutable {
               const bool out_of_time = absl::IsDeadlineExceeded(value.status());
               const absl::Time ended = clock.Now();
               // A request that had less time than a read says nothing of the store.
               if (!out_of_time || ended >= give_up) patience->ReadEnded(out_of_time, ended);
               DecodedShared decoded;
               if (value.ok() && value->has_value()) decoded = DecodeShared(**value, *key);
               if (decoded.answer != nullptr && decoded.until <= clock.Now()) {
                 decoded.answer = nullptr;
               }
               observer.StoreAnswered(!value.ok() ? CacheObserver::StoreResult::kReadFailed
                                      : decoded.answer != nullptr
                                          ? CacheObserver::StoreResult::kHit
                                          : CacheObserver::StoreResult::kMiss);
               found(std::move(decoded.answer), decoded.until);
             });
}

void SharedCache::Put(const CacheKey& key, const KeptAnswer& answer, absl::Duration ttl) {
  if (key.size() + answer.body.size() > options_.max_entry_bytes) return;
  const absl::Time now = clock_.Now();
  store_.Put(NameOf(key), EncodeShared(key, answer, now + ttl), ttl, now + kWriteTimeout,
             [&observer = observer_](const absl::Status& status) {
               observer.StoreAnswered(status.ok() ? CacheObserver::StoreResult::kWritten
                                                  : CacheObserver::StoreResult::kWriteFailed);
             });
}

}  // namespace penstock::gateway
