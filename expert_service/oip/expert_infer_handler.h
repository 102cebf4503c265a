#pragma once

#include <memory>

#include "common/net/infer_call.h"
#include "common/tensors/infer_message.h"
#include "common/time/clock.h"
#include "expert_service/execution/executor.h"
#include "expert_service/execution/expert_events.h"
#include "expert_service/metering/energy_meter.h"
#include "expert_service/models/live_repository.h"
#include "expert_service/oip/readiness.h"

namespace penstock::expert {

// ModelInfer: checks, decodes, hands to the executor, encodes the answer and what it cost.
class ExpertInferHandler final : public InferHandler {
 public:
  // All arguments outlive the handler and its calls.
  ExpertInferHandler(const LiveRepository& models, Executor& executor, const EnergyMeter& meter,
                     const Readiness& readiness, const Clock& clock, ExpertEvents& events)
      : models_(models),
        executor_(executor),
        meter_(meter),
        readiness_(readiness),
        clock_(clock),
        events_(events) {}

  void ModelInfer(std::shared_ptr<IncomingCall> call) override;

 private:
  struct Accepted;

  absl::Status Accept(const IncomingCall& call, Accepted& accepted) const;
  void Answer(IncomingCall& call, const Accepted& accepted, ExecutionOutcome outcome);
  void Refuse(IncomingCall& call, const Accepted& accepted, absl::Status status);
  void AddReport(const ExecutionOutcome& outcome, Metadata& trailers) const;

  const LiveRepository& models_;
  Executor& executor_;
  const EnergyMeter& meter_;
  const Readiness& readiness_;
  const Clock& clock_;
  ExpertEvents& events_;
};

}  // namespace penstock::expert
