#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "router_service/pools/replica_connector.h"

namespace penstock::router {

// What a replica serves under a model's name, by the digest that it tells of it: asked for when the
// stream of its loads says that it serves something else. Other people's servers tell nothing, and
// what they serve is taken to be always the same. Thread-safe.
class ServedContent : public std::enable_shared_from_this<ServedContent> {
 public:
  // Follows `connection` while somebody has what comes back. `on_change` runs on any thread after
  // each change of the digest, and must not block.
  static std::shared_ptr<ServedContent> Follow(std::shared_ptr<ReplicaConnection> connection,
                                               const std::string& model, const std::string& version,
                                               std::function<void()> on_change);

  // Empty: not known.
  std::string digest() const;
  // Nothing is known yet: until it is, what `before` knew of the same replica holds.
  void StartFrom(const ServedContent& before);

 private:
  ServedContent(std::shared_ptr<ReplicaConnection> connection, std::string model,
                std::string version, std::function<void()> on_change);
  void OnFingerprint(uint64_t fingerprint);
  void OnFacts(uint64_t fingerprint, const absl::StatusOr<ReplicaFacts>& facts);

  const std::shared_ptr<ReplicaConnection> connection_;
  const std::string model_, version_;
  const std::function<void()> on_change_;
  mutable Mutex mutex_;
  std::string digest_ ABSL_GUARDED_BY(mutex_);
  // Of which the digest is; unset: none was told.
  std::optional<uint64_t> fingerprint_ ABSL_GUARDED_BY(mutex_);
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::router
