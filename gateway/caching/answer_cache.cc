#include "gateway/caching/answer_cache.h"

#include <algorithm>
#include <utility>

#include "common/net/caller_rights.h"

namespace penstock::gateway {

std::shared_ptr<const KeptAnswer> AnswerCache::Find(const CacheKey& key) {
  return local_.Find(key, deps_.clock.Now());
}

void AnswerCache::FindShared(std::shared_ptr<const CacheKey> key,
                             std::shared_ptr<const CachePolicy> policy, absl::Time deadline,
                             Found found) {
  if (deps_.shared == nullptr) return found(nullptr);
  deps_.shared->Find(key, deadline,
                     [this, key, policy = std::move(policy), found = std::move(found)](
                         std::shared_ptr<const KeptAnswer> answer, absl::Time until) mutable {
                       if (answer != nullptr) {
                         PutLocal(*policy, *key, answer,
                                  std::min(until, deps_.clock.Now() + policy->ttl));
                       }
                       found(std::move(answer));
                     });
}

absl::StatusOr<ReadAnswer> AnswerCache::Keep(absl::string_view pool, const CachePolicy& policy,
                                             const CacheKey& key, const InferReply& reply) {
  using Outcome = CacheObserver::Outcome;
  absl::StatusOr<ReadAnswer> read = reply.status.ok() ? ReadRouterAnswer(reply.body) : reply.status;
  Outcome outcome = Outcome::kKept;
  if (!read.ok()) {
    outcome = Outcome::kFailed;
  } else if (read->degraded) {
    outcome = Outcome::kDegraded;
  } else if (FindMetadata(reply.trailers, kAnswerVersionMetadata) != policy.version) {
    outcome = Outcome::kOutdated;
    deps_.policies.Outdated();
  } else if (key.size() + read->kept->body.size() > policy.max_entry_bytes) {
    outcome = Outcome::kTooLarge;
  } else {
    PutLocal(policy, key, read->kept, deps_.clock.Now() + policy.ttl);
    if (deps_.shared != nullptr) deps_.shared->Put(key, *read->kept, policy.ttl);
  }
  deps_.observer.Ran(pool, outcome);
  return read;
}

void AnswerCache::PutLocal(const CachePolicy& policy, const CacheKey& key,
                           std::shared_ptr<const KeptAnswer> answer, absl::Time until) {
  if (key.size() + answer->body.size() > policy.max_entry_bytes) return;
  const size_t evicted = local_.Put(key, std::move(answer), until);
  if (evicted > 0) deps_.observer.Evicted(evicted);
  deps_.observer.Holds(local_.bytes(), local_.entries());
}

}  // namespace penstock::gateway
