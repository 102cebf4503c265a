#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/outcome_table.h"

namespace penstock::router {

// How many of an ordered ensemble suffice for one request: error[m] is that of the first m + 1. The
// least count after which one more lowers the error by less than `factor`; found says whether there
// is one, else the count is all of them. A larger factor never asks for more. Wojcik et al. 2024,
// arXiv:2312.10193.
struct SufficientCount {
  size_t count = 0;
  bool found = false;
};
SufficientCount AcmLabel(absl::Span<const double> error, double factor);

// Error of the plurality of the first `count` experts of `order` on one row: 1 - the mean quality
// of those who gave that answer, and the mean of that where answers tie. Where the table does not
// tell the answers, all wrong ones are taken as the same, the worst case. Experts of unknown
// quality do not vote; nobody: 1.
double VoteError(const OutcomeTable& table, absl::Span<const size_t> order, size_t count,
                 size_t row);

}  // namespace penstock::router
