#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router_service/selection/batch_assigner.h"
#include "router_service/selection/transport_plan.h"

namespace penstock::router {

// The entropic transport plan, rounded: by its entries from the largest on while the expert has
// room; who is left over takes the shortest chain of moves that makes room; then one pass of moves
// to free places and of swaps of two requests, placed or left over, where they improve the sum of
// affinities.
class SinkhornAssigner final : public BatchAssigner {
 public:
  explicit SinkhornAssigner(TransportOptions options) : plan_(options), options_(options) {}

  void Assign(const BatchProblem& problem, absl::Span<int32_t> expert) override;

  const TransportPlan& plan() const { return plan_; }

 private:
  struct Entry {
    double weight = 0;
    uint32_t request = 0;
    uint32_t expert = 0;
  };

  // Places of each expert in whole requests: of a share the column's sum, by largest remainder; of
  // a limit the capacity.
  void SetRoom(const BatchProblem& problem);
  void Round(const BatchProblem& problem, absl::Span<int32_t> expert);
  void PlaceLeftOver(const BatchProblem& problem, absl::Span<int32_t> expert);
  // Places `request` along the shortest chain of moves; false: there is none.
  bool Augment(const BatchProblem& problem, size_t request, absl::Span<int32_t> expert);
  void Improve(const BatchProblem& problem, absl::Span<int32_t> expert);

  TransportPlan plan_;
  const TransportOptions options_;
  std::vector<Entry> entries_;
  std::vector<int64_t> room_;  // by expert
  std::vector<uint32_t> order_;
  // Of a search: the request that would move to this expert, and where a search goes on.
  std::vector<int32_t> mover_;
  std::vector<uint32_t> frontier_;
};

}  // namespace penstock::router
