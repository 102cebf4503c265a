#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// max over experts of |P(expert | flagged) - P(expert | benign)|, in [0, 1]: how far safety hangs
// on few experts. Counts [experts]; unset where either kind has fewer than `least` in all.
std::optional<double> ConcentrationIndex(absl::Span<const uint64_t> flagged,
                                         absl::Span<const uint64_t> benign, uint64_t least = 1);

// The same over the latest requests of either kind. Not thread-safe.
class ConcentrationWindow {
 public:
  static constexpr size_t kWindow = 2000;
  static constexpr uint64_t kLeast = 50;

  explicit ConcentrationWindow(size_t experts, size_t window = kWindow);

  void Add(size_t expert, bool flagged);
  std::optional<double> Index() const { return ConcentrationIndex(counts_[1], counts_[0], kLeast); }

 private:
  const size_t window_;
  std::vector<uint64_t> counts_[2];
  std::deque<uint32_t> latest_[2];
};

}  // namespace penstock::router
