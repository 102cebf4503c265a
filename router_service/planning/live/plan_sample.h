#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/mutex.h"

namespace penstock::router {

// What the experts looked like to the latest requests of a pool: the sample that plans are made
// from. Thread-safe.
class PlanSample {
 public:
  PlanSample(size_t experts, size_t capacity);

  // One request: its class, and of each expert score, joules and idle latency at the promised
  // quantile.
  void Record(absl::Time arrived, size_t application_class, absl::Span<const double> score,
              absl::Span<const double> energy_j, absl::Span<const double> latency_s);

  // The figures of a class, [experts, rows] each.
  struct Rows {
    size_t rows = 0;
    std::vector<double> score, energy_j, latency_s;
    double requests_per_s = 0;  // of these rows, from the oldest of them until `now`
  };
  // `application_class` unset: of all.
  Rows Read(std::optional<size_t> application_class, absl::Time now) const;

 private:
  const size_t experts_;
  const size_t capacity_;
  mutable Mutex mutex_;
  // Rings of [capacity] rows; `figures_` [capacity, 3, experts] in float, which halves them.
  std::vector<float> figures_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> classes_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Time> arrived_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // the oldest, once full
};

}  // namespace penstock::router
