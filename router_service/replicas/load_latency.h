#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace penstock::router {

// What a replica's answers took by how many requests were in flight there when they were asked for:
// 0, 1, 2-3, 4-7, ... each with its latest seven. Allocates nothing. Not thread-safe.
class LoadLatency {
 public:
  void Add(double in_flight, absl::Duration latency, absl::Time now);

  // The median in seconds of answers that came after `oldest`, at this load, and at the loads next
  // to it until there are three; with an even number the lower of the middle two. Unset: there are
  // none.
  std::optional<double> At(double in_flight, absl::Time oldest) const;
  // When the newest answer came.
  absl::Time newest() const { return newest_; }

 private:
  // The last one: 1024 and more.
  static constexpr size_t kLoads = 12;
  // Four slow answers turn a median of seven: a change shows within as many, and of answers of
  // which two in a hundred stall four of seven do so once in two hundred thousand.
  static constexpr size_t kKept = 7;

  struct Answer {
    absl::Time at = absl::InfinitePast();
    double seconds = 0;
  };
  struct OfLoad {
    std::array<Answer, kKept> answers;
    size_t next = 0;
  };

  static size_t IndexOf(double in_flight);

  std::array<OfLoad, kLoads> loads_;
  absl::Time newest_ = absl::InfinitePast();
};

}  // namespace penstock::router
