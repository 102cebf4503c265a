#pragma once

#include <cstddef>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "gateway/caching/cache_key.h"
#include "gateway/caching/cache_observer.h"
#include "gateway/caching/cache_policy.h"
#include "gateway/caching/kept_answer.h"
#include "gateway/caching/local_cache.h"
#include "gateway/caching/shared_cache.h"

namespace penstock::gateway {

// Kept answers, in this process and behind it in the store where there is one, and the rule of
// which answers are kept. Thread-safe.
class AnswerCache {
 public:
  struct Deps {
    const Clock& clock;
    const CachePolicies& policies;
    CacheObserver& observer;
    // Null: this process only. Its store goes before the AnswerCache does.
    SharedCache* shared = nullptr;
  };
  using Found = absl::AnyInvocable<void(std::shared_ptr<const KeptAnswer>)>;

  AnswerCache(size_t max_bytes, Deps deps) : deps_(deps), local_(max_bytes) {}

  // Of this process. Null: none.
  std::shared_ptr<const KeptAnswer> Find(const CacheKey& key);
  // Of the store, by `deadline`; what is there is kept here from then on. Runs once, possibly
  // before this returns.
  void FindShared(std::shared_ptr<const CacheKey> key, std::shared_ptr<const CachePolicy> policy,
                  absl::Time deadline, Found found);
  bool has_shared() const { return deps_.shared != nullptr; }

  // Reads what a run came to, and keeps it where it is an undegraded answer of the policy's
  // version. The request had no id.
  absl::StatusOr<ReadAnswer> Keep(absl::string_view pool, const CachePolicy& policy,
                                  const CacheKey& key, const InferReply& reply);

 private:
  void PutLocal(const CachePolicy& policy, const CacheKey& key,
                std::shared_ptr<const KeptAnswer> answer, absl::Time until);

  const Deps deps_;
  LocalCache local_;
};

}  // namespace penstock::gateway
