#include "expert_service/oip/expert_oip_control.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "expert_service/oip/model_descriptions.h"
#include "inference/grpc_service.pb.h"

namespace penstock::expert {
namespace {

constexpr char kServerName[] = "penstock-expert";

void Fill(inference::StatisticDuration& to, const ModelStatistics::Sum& sum) {
  to.set_count(sum.count);
  to.set_ns(static_cast<uint64_t>(absl::ToInt64Nanoseconds(sum.total)));
}

void Fill(inference::ModelStatistics& to, const Model& model,
          const ModelStatistics::Snapshot& from) {
  to.set_name(model.name());
  to.set_version(absl::StrCat(model.version()));
  to.set_last_inference(static_cast<uint64_t>(absl::ToUnixMillis(from.last_inference)));
  to.set_inference_count(from.inference_count);
  to.set_execution_count(from.execution_count);
  inference::InferStatistics& stats = *to.mutable_inference_stats();
  Fill(*stats.mutable_success(), from.success);
  Fill(*stats.mutable_fail(), from.fail);
  Fill(*stats.mutable_queue(), from.queue);
  Fill(*stats.mutable_compute_input(), from.compute_input);
  Fill(*stats.mutable_compute_infer(), from.compute_infer);
  Fill(*stats.mutable_compute_output(), from.compute_output);
  for (const auto& [rows, sum] : from.batches) {
    inference::InferBatchStatistics& batch = *to.add_batch_stats();
    batch.set_batch_size(static_cast<uint64_t>(rows));
    Fill(*batch.mutable_compute_infer(), sum);
  }
  inference::MemoryUsage& memory = *to.add_memory_usage();
  memory.set_type("CPU");
  memory.set_byte_size(model.resident_bytes());
}

}  // namespace

void ExpertOipControl::ServerReady(const ControlContext&, const inference::ServerReadyRequest&,
                                   inference::ServerReadyResponse& response, ControlDone done) {
  response.set_ready(readiness_.ready());
  done(absl::OkStatus());
}

void ExpertOipControl::ModelReady(const ControlContext&,
                                  const inference::ModelReadyRequest& request,
                                  inference::ModelReadyResponse& response, ControlDone done) {
  response.set_ready(readiness_.ready() && models_.Find(request.name(), request.version()).ok());
  done(absl::OkStatus());
}

void ExpertOipControl::ServerMetadata(const ControlContext&,
                                      const inference::ServerMetadataRequest&,
                                      inference::ServerMetadataResponse& response,
                                      ControlDone done) {
  response.set_name(kServerName);
  response.set_version(PENSTOCK_VERSION);
  for (const char* extension :
       {"binary_tensor_data", "parameters", "statistics", "model_configuration"}) {
    response.add_extensions(extension);
  }
  done(absl::OkStatus());
}

void ExpertOipControl::ModelMetadata(const ControlContext&,
                                     const inference::ModelMetadataRequest& request,
                                     inference::ModelMetadataResponse& response, ControlDone done) {
  const auto model = models_.Find(request.name(), request.version());
  if (!model.ok()) {
    done(model.status());
    return;
  }
  DescribeMetadata(**model, models_.Versions(request.name()), response);
  done(absl::OkStatus());
}

void ExpertOipControl::ModelConfig(const ControlContext&,
                                   const inference::ModelConfigRequest& request,
                                   inference::ModelConfigResponse& response, ControlDone done) {
  const auto model = models_.Find(request.name(), request.version());
  if (!model.ok()) {
    done(model.status());
    return;
  }
  DescribeConfig(**model, executor_.options().threads, *response.mutable_config());
  done(absl::OkStatus());
}

void ExpertOipControl::ModelStatistics(const ControlContext&,
                                       const inference::ModelStatisticsRequest& request,
                                       inference::ModelStatisticsResponse& response,
                                       ControlDone done) {
  if (request.name().empty()) {
    for (const auto& model : models_.models()) {
      Fill(*response.add_model_stats(), *model, executor_.statistics(*model).Get());
    }
    done(absl::OkStatus());
    return;
  }
  const auto model = models_.Find(request.name(), request.version());
  if (!model.ok()) {
    done(model.status());
    return;
  }
  Fill(*response.add_model_stats(), **model, executor_.statistics(**model).Get());
  done(absl::OkStatus());
}

void ExpertOipControl::RepositoryIndex(const ControlContext&,
                                       const inference::RepositoryIndexRequest& request,
                                       inference::RepositoryIndexResponse& response,
                                       ControlDone done) {
  const bool loaded = readiness_.takes_requests();
  if (loaded || !request.ready()) {
    for (const auto& model : models_.models()) {
      inference::RepositoryIndexResponse::ModelIndex& index = *response.add_models();
      index.set_name(model->name());
      index.set_version(absl::StrCat(model->version()));
      index.set_state(loaded ? "READY" : "LOADING");
    }
  }
  done(absl::OkStatus());
}

}  // namespace penstock::expert
