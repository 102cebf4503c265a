#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/time/clock.h"
#include "router_service/planning/configuration_table.h"

namespace penstock::router {

struct ConfigurationChange {
  size_t configuration = 0;
  std::vector<size_t> wake, sleep;  // experts, ascending
};

// Follows the context and says when to change configuration, without thrashing: only when what the
// better one saves while the context is expected to last is more than the change costs, and not
// before the least dwell has passed. How long a context lasts is an exponentially weighted mean of
// how long it lasted before. Not thread-safe.
class ConfigurationSwitcher {
 public:
  struct Options {
    absl::Duration least_dwell = absl::Seconds(30);
    absl::Duration expected_dwell = absl::Seconds(60);  // of a context that was never left
    double dwell_weight = 0.2;                          // of the newest duration
  };

  ConfigurationSwitcher(const Options& options, const ConfigurationTable& table, size_t initial,
                        const Clock& clock);

  // What to change to now that the context is `context`, if anything. A configuration that lacks an
  // expert that the context requires is left at once, whatever the change costs.
  std::optional<ConfigurationChange> Tick(size_t context);

  size_t configuration() const { return current_; }
  absl::Duration ExpectedDwell(size_t context) const { return expected_[context]; }

 private:
  ConfigurationChange ChangeTo(size_t configuration);

  const Options options_;
  const ConfigurationTable& table_;
  const Clock& clock_;
  size_t current_;
  absl::Time changed_at_;
  std::optional<size_t> context_;
  absl::Time context_since_;
  std::vector<absl::Duration> expected_;
  std::vector<bool> seen_;
};

}  // namespace penstock::router
