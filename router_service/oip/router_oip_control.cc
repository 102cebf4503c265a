#include "router_service/oip/router_oip_control.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "inference/grpc_service.pb.h"
#include "router_service/dispatch/caller_identity.h"
#include "router_service/dispatch/route_request.h"

namespace penstock::router {
namespace {

constexpr char kPlatform[] = "penstock";

using SharedPool = std::shared_ptr<const Pool>;

CallerIdentity Identify(const ControlContext& context) {
  return IdentifyCaller(context.metadata, context.caller);
}

void Describe(const std::vector<PoolContract::Tensor>& tensors, bool batched,
              google::protobuf::RepeatedPtrField<inference::ModelMetadataResponse::TensorMetadata>&
                  out) {
  for (const PoolContract::Tensor& tensor : tensors) {
    auto& metadata = *out.Add();
    metadata.set_name(tensor.name);
    metadata.set_datatype(tensor.datatype);
    if (batched) metadata.add_shape(-1);
    for (const int64_t size : tensor.shape) metadata.add_shape(size);
  }
}

inference::DataType TritonType(const std::string& name) {
  inference::DataType type = inference::TYPE_INVALID;
  inference::DataType_Parse(name == "BYTES" ? "TYPE_STRING" : absl::StrCat("TYPE_", name), &type);
  return type;
}

template <typename Tensor>
void Configure(const PoolContract::Tensor& from, Tensor& to) {
  to.set_name(from.name);
  to.set_data_type(TritonType(from.datatype));
  for (const int64_t size : from.shape) to.add_dims(size);
}

void SetDuration(uint64_t count, absl::Duration total, inference::StatisticDuration& out) {
  out.set_count(count);
  out.set_ns(static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Nanoseconds(total))));
}

void Count(const Pool& pool, inference::ModelStatistics& out) {
  const PoolStatistics::Totals totals = pool.record->statistics.totals();
  out.set_name(pool.name());
  out.set_version(Pool::kVersion);
  if (totals.successes + totals.failures > 0) {
    out.set_last_inference(static_cast<uint64_t>(absl::ToUnixMillis(totals.last_inference)));
  }
  out.set_inference_count(totals.rows);
  out.set_execution_count(totals.successes);
  inference::InferStatistics& stats = *out.mutable_inference_stats();
  SetDuration(totals.successes, totals.success_time, *stats.mutable_success());
  SetDuration(totals.failures, totals.failure_time, *stats.mutable_fail());
  SetDuration(totals.reported, totals.queue_time, *stats.mutable_queue());
  SetDuration(totals.reported, totals.compute_time, *stats.mutable_compute_infer());
  SetDuration(totals.reported, absl::ZeroDuration(), *stats.mutable_compute_input());
  SetDuration(totals.reported, absl::ZeroDuration(), *stats.mutable_compute_output());
}

}  // namespace

void RouterOipControl::ServerReady(const ControlContext&, const inference::ServerReadyRequest&,
                                   inference::ServerReadyResponse& response, ControlDone done) {
  response.set_ready(readiness_.serving());
  done(absl::OkStatus());
}

void RouterOipControl::ModelReady(const ControlContext& context,
                                  const inference::ModelReadyRequest& request,
                                  inference::ModelReadyResponse& response, ControlDone done) {
  const auto pool = FindPool(catalogue_, request.name(), request.version(), Identify(context));
  // A name that nobody serves is not ready, as Triton answers; that is no error.
  const bool unknown = absl::IsNotFound(pool.status());
  response.set_ready(pool.ok() && (*pool)->ready());
  done(unknown ? absl::OkStatus() : pool.status());
}

void RouterOipControl::ServerMetadata(const ControlContext&,
                                      const inference::ServerMetadataRequest&,
                                      inference::ServerMetadataResponse& response,
                                      ControlDone done) {
  response.set_name("penstock-router");
  response.set_version(PENSTOCK_VERSION);
  for (const char* extension :
       {"model_configuration", "statistics", "binary_tensor_data", "parameters"}) {
    response.add_extensions(extension);
  }
  done(absl::OkStatus());
}

void RouterOipControl::ModelMetadata(const ControlContext& context,
                                     const inference::ModelMetadataRequest& request,
                                     inference::ModelMetadataResponse& response,
                                     ControlDone done) {
  const auto pool = FindPool(catalogue_, request.name(), request.version(), Identify(context));
  if (!pool.ok() || (*pool)->rooms == nullptr) {
    done(pool.ok() ? (*pool)->NotReady() : pool.status());
    return;
  }
  const PoolContract& contract = (*pool)->rooms->contract;
  response.set_name((*pool)->name());
  response.add_versions(Pool::kVersion);
  response.set_platform(kPlatform);
  Describe(contract.inputs, contract.batched, *response.mutable_inputs());
  Describe(contract.outputs, contract.batched, *response.mutable_outputs());
  done(absl::OkStatus());
}

void RouterOipControl::ModelConfig(const ControlContext& context,
                                   const inference::ModelConfigRequest& request,
                                   inference::ModelConfigResponse& response, ControlDone done) {
  const auto pool = FindPool(catalogue_, request.name(), request.version(), Identify(context));
  if (!pool.ok() || (*pool)->rooms == nullptr) {
    done(pool.ok() ? (*pool)->NotReady() : pool.status());
    return;
  }
  const PoolContract& contract = (*pool)->rooms->contract;
  inference::ModelConfig& config = *response.mutable_config();
  config.set_name((*pool)->name());
  config.set_platform(kPlatform);
  config.set_backend(kPlatform);
  if (contract.batched) {
    config.set_max_batch_size(static_cast<int32_t>((*pool)->row_limit()));
  }
  for (const PoolContract::Tensor& tensor : contract.inputs) Configure(tensor, *config.add_input());
  for (const PoolContract::Tensor& tensor : contract.outputs) {
    Configure(tensor, *config.add_output());
  }
  config.mutable_model_transaction_policy()->set_decoupled(false);
  config.mutable_response_cache()->set_enable((*pool)->config.has_cacheable());
  done(absl::OkStatus());
}

void RouterOipControl::ModelStatistics(const ControlContext& context,
                                       const inference::ModelStatisticsRequest& request,
                                       inference::ModelStatisticsResponse& response,
                                       ControlDone done) {
  const CallerIdentity caller = Identify(context);
  if (request.name().empty()) {
    for (const SharedPool& pool : catalogue_.All()) {
      if (caller.rights.MayCall(pool->name())) Count(*pool, *response.add_model_stats());
    }
    done(absl::OkStatus());
    return;
  }
  const auto pool = FindPool(catalogue_, request.name(), request.version(), caller);
  if (pool.ok()) Count(**pool, *response.add_model_stats());
  done(pool.status());
}

void RouterOipControl::RepositoryIndex(const ControlContext& context,
                                       const inference::RepositoryIndexRequest& request,
                                       inference::RepositoryIndexResponse& response,
                                       ControlDone done) {
  const CallerIdentity caller = Identify(context);
  for (const SharedPool& pool : catalogue_.All()) {
    if (!caller.rights.MayCall(pool->name())) continue;
    const bool ready = pool->ready();
    if (request.ready() && !ready) continue;
    auto& model = *response.add_models();
    model.set_name(pool->name());
    model.set_version(Pool::kVersion);
    const bool loading = pool->rooms == nullptr && pool->unusable_because.empty();
    model.set_state(ready ? "READY" : loading ? "LOADING" : "UNAVAILABLE");
    if (!ready) model.set_reason(pool->NotReadyBecause());
  }
  done(absl::OkStatus());
}

}  // namespace penstock::router
