#include "expert_service/oip/expert_oip_control.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/net/admin_audit.h"
#include "common/net/caller_rights.h"
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

// Who may change what is served: trusted callers that bring the admin right.
absl::Status CheckChange(const ControlContext& context, const std::string& repository) {
  const bool admin =
      CallerRights::FromMetadata(FindMetadata(context.metadata, kRightsMetadata)).admin;
  if (!context.caller.trusted || !admin) {
    return absl::PermissionDeniedError(
        "models are loaded and unloaded by trusted callers with the admin right");
  }
  if (!repository.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("repository_name is ", repository, ", wanted none: there is one repository"));
  }
  return absl::OkStatus();
}

// Strangers' calls, which are refused, say nothing true of who asked, and there may be any number of them.
ControlDone Audited(const ControlContext& context, const char* method, const std::string& model,
                    ControlDone done) {
  if (!context.caller.trusted) return done;
  AdminCall call;
  call.method = absl::StrCat("/inference.GRPCInferenceService/", method);
  call.tenant = std::string(FindMetadata(context.metadata, kTenantMetadata));
  call.credential = std::string(FindMetadata(context.metadata, kCredentialMetadata));
  call.caller = context.caller;
  call.arguments = absl::StrCat("model_name: ", model);
  return [call = std::move(call), done = std::move(done)](absl::Status status) mutable {
    AuditAdminCall(call, status);
    done(std::move(status));
  };
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
  response.set_ready(readiness_.ready() &&
                     models_.Get()->Find(request.name(), request.version()).ok());
  done(absl::OkStatus());
}

void ExpertOipControl::ServerMetadata(const ControlContext&,
                                      const inference::ServerMetadataRequest&,
                                      inference::ServerMetadataResponse& response,
                                      ControlDone done) {
  response.set_name(kServerName);
  response.set_version(PENSTOCK_VERSION);
  for (const char* extension :
       {"binary_tensor_data", "parameters", "statistics", "model_configuration",
        "model_repository"}) {
    response.add_extensions(extension);
  }
  done(absl::OkStatus());
}

void ExpertOipControl::ModelMetadata(const ControlContext&,
                                     const inference::ModelMetadataRequest& request,
                                     inference::ModelMetadataResponse& response, ControlDone done) {
  const std::shared_ptr<const ModelRepository> models = models_.Get();
  const auto model = models->Find(request.name(), request.version());
  if (!model.ok()) {
    done(model.status());
    return;
  }
  DescribeMetadata(**model, models->Versions(request.name()), response);
  done(absl::OkStatus());
}

void ExpertOipControl::ModelConfig(const ControlContext&,
                                   const inference::ModelConfigRequest& request,
                                   inference::ModelConfigResponse& response, ControlDone done) {
  const std::shared_ptr<const ModelRepository> models = models_.Get();
  const auto model = models->Find(request.name(), request.version());
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
  const std::shared_ptr<const ModelRepository> models = models_.Get();
  if (request.name().empty()) {
    for (const auto& model : models->models()) {
      Fill(*response.add_model_stats(), *model, executor_.statistics(*model).Get());
    }
    done(absl::OkStatus());
    return;
  }
  const auto model = models->Find(request.name(), request.version());
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
    const std::shared_ptr<const ModelRepository> models = models_.Get();
    for (const auto& model : models->models()) {
      inference::RepositoryIndexResponse::ModelIndex& index = *response.add_models();
      index.set_name(model->name());
      index.set_version(absl::StrCat(model->version()));
      index.set_state(loaded ? "READY" : "LOADING");
    }
  }
  if (!request.ready()) {
    for (const std::string& name : models_.unloaded()) {
      inference::RepositoryIndexResponse::ModelIndex& index = *response.add_models();
      index.set_name(name);
      index.set_state("UNAVAILABLE");
      index.set_reason("unloaded");
    }
  }
  done(absl::OkStatus());
}

void ExpertOipControl::RepositoryModelLoad(const ControlContext& context,
                                           const inference::RepositoryModelLoadRequest& request,
                                           inference::RepositoryModelLoadResponse&,
                                           ControlDone done) {
  ControlDone audited =
      Audited(context, "RepositoryModelLoad", request.model_name(), std::move(done));
  absl::Status allowed = CheckChange(context, request.repository_name());
  if (allowed.ok() && !request.parameters().empty()) {
    allowed = absl::InvalidArgumentError(
        absl::StrCat("parameter ", request.parameters().begin()->first,
                     " is not supported: a model is loaded as the repository has it"));
  }
  if (allowed.ok() && !readiness_.ready()) {
    allowed = absl::UnavailableError("the service is not ready");
  }
  if (!allowed.ok()) {
    audited(std::move(allowed));
    return;
  }
  loader_.Load(request.model_name(), std::move(audited));
}

void ExpertOipControl::RepositoryModelUnload(
    const ControlContext& context, const inference::RepositoryModelUnloadRequest& request,
    inference::RepositoryModelUnloadResponse&, ControlDone done) {
  ControlDone audited =
      Audited(context, "RepositoryModelUnload", request.model_name(), std::move(done));
  absl::Status allowed = CheckChange(context, request.repository_name());
  for (const auto& [name, value] : request.parameters()) {
    // Nothing depends on a model here.
    if (name == "unload_dependents" || !allowed.ok()) continue;
    allowed = absl::InvalidArgumentError(absl::StrCat("parameter ", name, " is not supported"));
  }
  if (!allowed.ok()) {
    audited(std::move(allowed));
    return;
  }
  loader_.Unload(request.model_name(), std::move(audited));
}

}  // namespace penstock::expert
