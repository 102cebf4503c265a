#include "router_service/learning/principals/feedback_cap.h"
#include "common/sha256.h"

#include <algorithm>
#include <map>
#include <numeric>


namespace penstock::router {

FeedbackCap CapFeedback(absl::Span<const std::string> principals, absl::Span<const std::string> ids,
                        double most_share) {
  FeedbackCap cap;
  cap.keep.assign(principals.size(), 1);
  std::map<std::string, std::vector<size_t>> rows;
  size_t largest = 0;
  for (size_t i = 0; i < principals.size(); ++i) {
    std::vector<size_t>& of = rows[principals[i]];
    of.push_back(i);
    largest = std::max(largest, of.size());
  }
  if (most_share * static_cast<double>(rows.size()) < 1) return cap;
  // Whether c rows of the largest are within the share falls as c grows.
  const auto within = [&](size_t c) {
    size_t kept = 0;
    for (const auto& [principal, of] : rows) kept += std::min(of.size(), c);
    return static_cast<double>(c) <= most_share * static_cast<double>(kept);
  };
  if (within(largest)) return cap;
  size_t low = 1, high = largest;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (within(middle) ? low : high) = middle;
  }
  cap.most_rows = low;
  for (auto& [principal, of] : rows) {
    if (of.size() <= low) continue;
    std::vector<std::string> order;
    for (const size_t row : of) order.push_back(Sha256Hex(ids[row]));
    std::vector<size_t> at(of.size());
    std::iota(at.begin(), at.end(), size_t{0});
    std::sort(at.begin(), at.end(), [&](size_t a, size_t b) { return order[a] < order[b]; });
    for (size_t i = low; i < at.size(); ++i) cap.keep[of[at[i]]] = 0;
  }
  return cap;
}

}  // namespace penstock::router
