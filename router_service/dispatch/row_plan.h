#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "common/random.h"
#include "router_service/dispatch/choice/row_choice.h"
#include "router_service/dispatch/dispatch_plan.h"

namespace penstock::router {

// A request of granularity ROW: each expert gets the rows that chose it, and the answer is the
// weighted sum of theirs. Where an expert fails, its rows keep their other experts, at weights that
// sum to 1 again.
class RowPlan final : public DispatchPlan {
 public:
  static absl::StatusOr<std::unique_ptr<RowPlan>> Create(const RouteRequest& request,
                                                         RowChoice choice, CounterRandom random);

  std::vector<AskSpec> First() override;
  std::vector<AskSpec> Next(const std::vector<AskResult>& so_far) override;
  PlanAnswer Answer(DispatchResult& result) override;
  void RecordDecision(Reservation& reservation) override;

 private:
  // Rows of a group that go in one call: all, or as many as the expert takes.
  struct Call {
    size_t group = 0;
    size_t first = 0;
    size_t count = 0;
    Bytes request;
  };

  RowPlan(const RouteRequest& request, RowChoice choice, CounterRandom random)
      : request_(request), choice_(std::move(choice)), random_(random) {}
  // Weight of each pair again, with those of failed calls gone; false: a row has nobody left.
  bool Reweigh(const std::vector<AskResult>& asks);

  const RouteRequest& request_;
  RowChoice choice_;
  CounterRandom random_;
  std::vector<Call> calls_;  // in the order of the asks
};

}  // namespace penstock::router
