#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"

namespace penstock::router {

// Which names of pools and experts become values of labels, for all metrics of a router: the first
// that come, removed ones included, so that no number of reloads makes more series. The rest is
// counted as "other", and gauges do not tell of it. Only names of the configuration are to be
// admitted. Thread-safe.
class PoolLabels {
 public:
  static constexpr size_t kMostPools = 1000;
  static constexpr size_t kMostExperts = 10'000;  // of all pools
  static constexpr char kOther[] = "other";

  // Whether the pool is told by its name.
  bool Admit(absl::string_view pool);
  // The same of an expert; none of a pool that is not.
  bool Admit(absl::string_view pool, absl::string_view expert);

  // A counter's value of the label: the name, or "other".
  std::string LabelOf(absl::string_view pool);
  std::string LabelOf(absl::string_view pool, absl::string_view expert);

 private:
  bool AdmitLocked(absl::string_view pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  absl::flat_hash_set<std::string> pools_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<std::string, std::string>> experts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
