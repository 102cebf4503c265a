#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

struct SubsetItem {
  uint32_t id = 0;
  double net = 0;       // what it adds
  double energy_j = 0;  // what it takes
  // One of the subset must have it, where that is asked for.
  bool marked = false;
};

// The subset of at most k items with the largest sum of net within a limit of joules: depth-first
// branch and bound. Bounds are Lagrangian: for any mu >= 0 no subset below a node exceeds
//   value + mu * joules_left + the largest k_left values of max(0, net - mu * joules) among the
//   items left
// taken for four multipliers round the one that is tightest at the root. Not thread-safe: the
// workspace is reused.
class BranchAndBound {
 public:
  struct Result {
    bool found = false;
    double value = 0;
    double gap = 0;  // 0: proven optimal
    size_t nodes = 0;
  };

  // Each item alone must fit `joules`. `picked`: ids of the best subset found.
  Result Solve(absl::Span<SubsetItem> items, size_t k, double joules, bool need_marked,
               size_t node_limit, std::vector<uint32_t>& picked);

 private:
  static constexpr size_t kMultipliers = 4;
  struct Node {
    uint32_t depth = 0;
    uint32_t taken = 0;
    double value = 0;
    double energy_j = 0;
    double bound = 0;
    bool marked = false;
    bool takes = false;  // the item before `depth`
  };

  double RootMultiplier(absl::Span<const SubsetItem> items, size_t k, double joules);
  void FillBounds(absl::Span<const SubsetItem> items, size_t k);
  double Bound(const Node& node, size_t k, double joules) const;

  double multipliers_[kMultipliers] = {};
  size_t used_multipliers_ = 0;
  size_t items_count_ = 0;
  // [multiplier, depth, count]: the largest sum of `count` adjusted values from `depth` on.
  std::vector<double> tops_;
  std::vector<double> adjusted_;
  std::vector<double> largest_;
  std::vector<uint32_t> order_;
  std::vector<Node> stack_;
  std::vector<uint32_t> path_;
};

}  // namespace penstock::router
