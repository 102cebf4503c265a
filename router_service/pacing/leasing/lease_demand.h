#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace penstock::router {

// How a budget is drawn on. Not thread-safe.
class LeaseDemand {
 public:
  void Note(int64_t amount, absl::Time now);

  // Units a second, over about the last ten.
  double Rate(absl::Time now) const;
  // Of an amount, of late: it fades by a hundredth with each. 0: there was none.
  int64_t largest() const { return largest_; }
  absl::Time last() const { return last_; }

 private:
  double sum_ = 0;  // fading
  absl::Time began_ = absl::InfinitePast();
  absl::Time last_ = absl::InfinitePast();
  int64_t largest_ = 0;
};

}  // namespace penstock::router
