#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Which rows to learn from so that no principal has more than `most_share` of those kept (0 <
// share): of a principal with more, those whose id comes first in the order of its hash. The most
// rows that the share allows stay; all do where fewer principals than 1 / most_share report, since
// no choice of rows keeps to the share then. principals and ids [rows].
struct FeedbackCap {
  std::vector<uint8_t> keep;  // [rows]
  size_t most_rows = 0;       // of one principal; 0: nothing was capped
};
FeedbackCap CapFeedback(absl::Span<const std::string> principals, absl::Span<const std::string> ids,
                        double most_share);

}  // namespace penstock::router
