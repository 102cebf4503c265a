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

namespace penstock {
class Tracer;
}  // namespace penstock

namespace penstock::expert {

// ModelInfer: checks, decodes, hands to the executor, encodes the answer and what it cost.
class ExpertInferHandler final : public InferHandler {
 public:
  // All arguments outlive the handler and its calls. `tracer`: null: no request is traced here.
  ExpertInferHandler(const LiveRepository& models, Executor& executor, const EnergyMeter& meter,
                     const Readiness& readiness, const Clock& clock, ExpertEvents& events,
                     Tracer* tracer = nullptr)
      : models_(models),
        executor_(executor),
        meter_(meter),
        readiness_(readiness),
        clock_(clock),
        events_(events),
        tracer_(tracer) {}

  void ModelInfer(std::shared_ptr<IncomingCall> call) override;

 private:
  struct Accepted;

  absl::Status Accept(const IncomingCall& call, Accepted& accepted) const;
  void Answer(IncomingCall& call, Accepted& accepted, ExecutionOutcome outcome);
  void Refuse(IncomingCall& call, Accepted& accepted, absl::Status status);
  void LogEnd(const IncomingCall& call, const Accepted& accepted, const absl::Status& status,
              absl::Duration latency) const;
  void AddReport(const ExecutionOutcome& outcome, Metadata& trailers) const;

  const LiveRepository& models_;
  Executor& executor_;
  const EnergyMeter& meter_;
  const Readiness& readiness_;
  const Clock& clock_;
  ExpertEvents& events_;
  Tracer* const tracer_;
};

}  // namespace penstock::expert
