#include "expert_service/oip/expert_infer_handler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging/request_log.h"
#include "common/net/caller_rights.h"
#include "common/net/orca.h"
#include "common/status_macros.h"
#include "expert_service/oip/infer_parameters.h"
#include "expert_service/oip/request_span.h"

namespace penstock::expert {
namespace {

ModelStatistics::Failure WhyFailed(const ExecutionOutcome& outcome) {
  if (outcome.computed > absl::ZeroDuration()) return ModelStatistics::Failure::kBroken;
  const bool rejected = absl::IsResourceExhausted(outcome.status) ||
                        absl::IsDeadlineExceeded(outcome.status);
  return rejected ? ModelStatistics::Failure::kRejected : ModelStatistics::Failure::kOther;
}

}  // namespace

// A request on its way in, and what its answer has to say.
struct ExpertInferHandler::Accepted {
  absl::Time arrived;
  ServedTrace trace;
  std::string id;
  std::shared_ptr<const Model> model;
  ModelInputs inputs;
  int64_t rows = 1;
  std::vector<size_t> wanted;
  absl::Time deadline = absl::InfiniteFuture();
  absl::Duration input_time;  // reading and checking the tensors
};

absl::Status ExpertInferHandler::Accept(const IncomingCall& call, Accepted& accepted) const {
  if (!readiness_.takes_requests()) return absl::UnavailableError("the models are warming up");
  PENSTOCK_ASSIGN_OR_RETURN(const InferRequestHeader header, ScanInferRequest(call.request()));
  accepted.id = header.id;
  PENSTOCK_ASSIGN_OR_RETURN(accepted.model,
                            models_.Get()->Find(header.model_name, header.model_version));
  PENSTOCK_ASSIGN_OR_RETURN(const InferParameters parameters, ReadParameters(header.parameters));
  PENSTOCK_ASSIGN_OR_RETURN(accepted.wanted,
                            ReadRequestedOutputs(accepted.model->contract(), header.outputs));
  accepted.deadline = call.deadline();
  if (parameters.timeout.has_value()) {
    accepted.deadline = std::min(accepted.deadline, accepted.arrived + *parameters.timeout);
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<Tensor> tensors, DecodeInputs(call.request(), header));
  PENSTOCK_ASSIGN_OR_RETURN(accepted.inputs, accepted.model->Accept(std::move(tensors)));
  accepted.rows = accepted.inputs.rows;
  accepted.input_time = clock_.Now() - accepted.arrived;
  return absl::OkStatus();
}

void ExpertInferHandler::ModelInfer(std::shared_ptr<IncomingCall> call) {
  Accepted accepted;
  accepted.arrived = clock_.Now();
  accepted.trace = ServedTrace(tracer_, *call, accepted.arrived);
  if (absl::Status status = Accept(*call, accepted); !status.ok()) {
    Refuse(*call, accepted, std::move(status));
    return;
  }
  auto request = std::make_shared<ExecutionRequest>();
  request->model = accepted.model;
  request->inputs = std::move(accepted.inputs);
  request->wanted = std::move(accepted.wanted);
  request->deadline = accepted.deadline;
  request->done = [this, call, accepted = std::move(accepted)](ExecutionOutcome outcome) mutable {
    Answer(*call, accepted, std::move(outcome));
  };
  // Weak: the request holds the call, and the call holds this handler.
  call->SetCancelHandler([this, weak = std::weak_ptr<ExecutionRequest>(request)] {
    if (const auto waiting = weak.lock()) executor_.Cancel(*waiting);
  });
  executor_.Submit(std::move(request));
}

void ExpertInferHandler::Answer(IncomingCall& call, Accepted& accepted,
                                ExecutionOutcome outcome) {
  const absl::Time computed = clock_.Now();
  InferReply reply;
  reply.status = outcome.status;
  AddReport(outcome, reply.trailers);
  if (outcome.status.ok()) {
    InferResponse response;
    response.model_name = accepted.model->name();
    response.model_version = absl::StrCat(accepted.model->version());
    response.id = accepted.id;
    response.outputs = std::move(outcome.outputs);
    reply.body = EncodeInferResponse(response);
  } else if (absl::IsResourceExhausted(outcome.status)) {
    reply.trailers.emplace_back(kRetryAfterMetadata,
                                absl::StrCat(absl::ToInt64Milliseconds(
                                    absl::Ceil(outcome.retry_after, absl::Milliseconds(1)))));
  }
  const absl::StatusCode code = outcome.status.code();
  // Booked before the answer leaves, so that whoever has the answer finds it in the statistics.
  const absl::Time now = clock_.Now();
  const absl::Duration total = now - accepted.arrived;
  ModelStatistics& statistics = executor_.statistics(*accepted.model);
  if (code == absl::StatusCode::kOk) {
    statistics.Succeeded(
        accepted.rows,
        {total, outcome.queued, accepted.input_time, outcome.computed, now - computed}, now);
  } else if (code == absl::StatusCode::kCancelled) {
    statistics.Cancelled(total);
  } else {
    statistics.Failed(total, WhyFailed(outcome));
  }
  events_.RequestAnswered(accepted.model->name(), code, total);
  LogEnd(call, accepted, reply.status, total);
  call.Finish(std::move(reply));
  EndRequestTrace(accepted.trace, call, accepted.model->name(),
                  accepted.arrived + accepted.input_time, outcome, code, now);
}

void ExpertInferHandler::Refuse(IncomingCall& call, Accepted& accepted, absl::Status status) {
  const absl::StatusCode code = status.code();
  InferReply reply;
  reply.status = std::move(status);
  AddReport(ExecutionOutcome(), reply.trailers);
  const absl::Duration total = clock_.Now() - accepted.arrived;
  if (accepted.model != nullptr) {
    executor_.statistics(*accepted.model).Failed(total, ModelStatistics::Failure::kOther);
  }
  events_.RequestAnswered(accepted.model == nullptr ? "" : accepted.model->name(), code, total);
  LogEnd(call, accepted, reply.status, total);
  call.Finish(std::move(reply));
  EndRequestTrace(accepted.trace, call, accepted.model == nullptr ? "" : accepted.model->name(),
                  accepted.arrived, {}, code, accepted.arrived + total);
}

void ExpertInferHandler::LogEnd(const IncomingCall& call, const Accepted& accepted,
                                const absl::Status& status, absl::Duration latency) const {
  const absl::string_view request_id =
      call.caller().trusted ? FindMetadata(call.metadata(), kRequestIdMetadata) : "";
  LogRequest({"expert", request_id,
              accepted.model == nullptr ? absl::string_view() : accepted.model->name(),
              /*tenant=*/"", status, latency});
}

void ExpertInferHandler::AddReport(const ExecutionOutcome& outcome, Metadata& trailers) const {
  const Executor::Load load = executor_.load();
  xds::data::orca::v3::OrcaLoadReport report;
  report.set_application_utilization(load.utilization);
  auto& cost = *report.mutable_request_cost();
  cost["joules"] = outcome.joules;
  cost["queue_seconds"] = absl::ToDoubleSeconds(outcome.queued);
  cost["compute_seconds"] = absl::ToDoubleSeconds(outcome.computed);
  auto& named = *report.mutable_named_metrics();
  named["queue_depth"] = static_cast<double>(load.queue_depth);
  named["in_flight"] = static_cast<double>(load.in_flight);
  named["watts"] = meter_.watts();
  named["energy_method"] = static_cast<double>(meter_.method());
  SetOrcaReport(report, trailers);
}

}  // namespace penstock::expert
