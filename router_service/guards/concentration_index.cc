#include "router_service/guards/concentration_index.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace penstock::router {

std::optional<double> ConcentrationIndex(absl::Span<const uint64_t> flagged,
                                         absl::Span<const uint64_t> benign, uint64_t least) {
  const uint64_t flagged_sum = std::accumulate(flagged.begin(), flagged.end(), uint64_t{0});
  const uint64_t benign_sum = std::accumulate(benign.begin(), benign.end(), uint64_t{0});
  if (std::min(flagged_sum, benign_sum) < std::max<uint64_t>(least, 1)) return std::nullopt;
  double largest = 0;
  for (size_t i = 0; i < flagged.size(); ++i) {
    const double of_flagged = static_cast<double>(flagged[i]) / static_cast<double>(flagged_sum);
    const double of_benign = static_cast<double>(benign[i]) / static_cast<double>(benign_sum);
    largest = std::max(largest, std::abs(of_flagged - of_benign));
  }
  return largest;
}

ConcentrationWindow::ConcentrationWindow(size_t experts, size_t window) : window_(window) {
  for (std::vector<uint64_t>& counts : counts_) counts.resize(experts);
}

void ConcentrationWindow::Add(size_t expert, bool flagged) {
  std::vector<uint64_t>& counts = counts_[flagged ? 1 : 0];
  std::deque<uint32_t>& latest = latest_[flagged ? 1 : 0];
  if (expert >= counts.size()) return;
  ++counts[expert];
  latest.push_back(static_cast<uint32_t>(expert));
  if (latest.size() <= window_) return;
  --counts[latest.front()];
  latest.pop_front();
}

}  // namespace penstock::router
