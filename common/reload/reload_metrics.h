#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

// How configuration came to be what it is. Thread-safe.
class ReloadMetrics {
 public:
  // Exported by each of the registries.
  explicit ReloadMetrics(const std::vector<std::shared_ptr<prometheus::Registry>>& registries);
  ~ReloadMetrics();

  // `version`: the first 48 bits of a digest, which a sample holds exactly.
  void Started(uint64_t version, absl::Time at);
  void Applied(uint64_t version, absl::Time at);
  void Unchanged();
  void Refused();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock
