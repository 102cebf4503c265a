#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/bytes.h"
#include "common/net/infer_call.h"
#include "common/tensors/tensor.h"
#include "router_service/combining/combiner.h"
#include "router_service/dispatch/answer.h"
#include "router_service/dispatch/dispatch_call.h"
#include "router_service/pacing/budget_pacer.h"

namespace penstock::router {

// One request's answer, before it is put into bytes.
struct PlanAnswer {
  absl::Status status;
  Metadata trailers;  // of the expert whose failure `status` is
  std::vector<Answerer> answerers;
  // An expert's answer to pass on as it is; empty: `outputs`.
  Bytes pass;
  std::vector<Tensor> outputs;
  // P(right) that an answer's own confidence tells, by place in DispatchResult.asks.
  std::vector<std::pair<size_t, double>> confidences;
  // The ask for a second opinion whose answer became the answer, by the same place.
  std::optional<size_t> taken_opinion;
  // The ask whose answer was taken as it is though others answered beside it, by the same place.
  std::optional<size_t> taken_alone;
  std::vector<AnswerParts> parts;  // of answers that were ranked
  std::string degraded;  // empty: nothing beyond what was decided
};

// How one request is asked and answered. The calls come in this order, one at a time.
class DispatchPlan {
 public:
  virtual ~DispatchPlan() = default;
  virtual std::vector<AskSpec> First() = 0;
  // Answers of those that are enough; 0: all are waited for.
  virtual size_t Enough() const { return 0; }
  // Whom to ask after `so_far`; nobody: done.
  virtual std::vector<AskSpec> Next(const std::vector<AskResult>& so_far) = 0;
  virtual PlanAnswer Answer(DispatchResult& result) = 0;
  // Tells the budgets what could have been done at which price.
  virtual void RecordDecision(Reservation& reservation) = 0;
};

}  // namespace penstock::router
