#include "expert_service/oip/expert_control_service.h"

#include <grpcpp/grpcpp.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/net/grpc_status.h"
#include "common/net/rpc/rpc_service.h"
#include "common/status_macros.h"
#include "expert_service/oip/load_watch.h"
#include "penstock/v1/expert_control.pb.h"

namespace penstock::expert {
namespace {

constexpr absl::Duration kDefaultInterval = absl::Milliseconds(100);
constexpr absl::Duration kLeastInterval = absl::Milliseconds(10);

}  // namespace

class ExpertControlService::Service final : public RpcService {
 public:
  Service(const LiveRepository& models, const Executor& executor, const EnergyMeter& meter,
          const Device& device, const Clock& clock, Timers& timers)
      : models_(models),
        executor_(executor),
        meter_(meter),
        device_(device),
        clock_(clock),
        timers_(timers) {
    AddUnary<v1::DescribeRequest, v1::DescribeResponse>(
        "/penstock.v1.ExpertControl/Describe",
        [this](const ControlContext&, const v1::DescribeRequest& request,
               v1::DescribeResponse& response, ControlDone done) {
          done(FillDescription(request, response));
        });
    AddUnary<v1::PrefetchRequest, v1::PrefetchResponse>(
        "/penstock.v1.ExpertControl/Prefetch",
        [this](const ControlContext& context, const v1::PrefetchRequest& request,
               v1::PrefetchResponse&, ControlDone done) { done(CheckPrefetch(context, request)); });
    AddServerStream<v1::WatchLoadRequest>(
        "/penstock.v1.ExpertControl/WatchLoad",
        [this](std::unique_ptr<RpcArrival> arrival, const v1::WatchLoadRequest& request) {
          WatchLoad(std::move(arrival), request);
        });
  }

  void EndStreams() { watches_.EndAll(); }

 private:
  void WatchLoad(std::unique_ptr<RpcArrival> arrival, const v1::WatchLoadRequest& request) {
    absl::Duration interval = kDefaultInterval;
    if (request.has_interval()) {
      interval = absl::Seconds(request.interval().seconds()) +
                 absl::Nanoseconds(request.interval().nanos());
      if (interval < kLeastInterval) {
        RefusedRpc::Open(std::move(arrival),
                         ToGrpcStatus(absl::InvalidArgumentError(absl::StrCat(
                             "interval: wanted at least ", absl::FormatDuration(kLeastInterval),
                             ", got ", absl::FormatDuration(interval)))));
        return;
      }
    }
    // What was booked before the stream began is not news.
    auto booked = std::make_shared<double>(meter_.totals().corrections);
    std::make_shared<LoadWatch>(
        std::move(arrival), interval, [this, booked](v1::Load& load) { FillLoad(*booked, load); },
        clock_, timers_, watches_)
        ->Begin();
  }

  absl::Status FillDescription(const v1::DescribeRequest& request,
                               v1::DescribeResponse& response) const {
    const std::shared_ptr<const ModelRepository> models = models_.Get();
    if (request.model().empty()) {
      for (const auto& model : models->models()) FillModel(*model, *response.add_models());
    } else {
      PENSTOCK_RETURN_IF_ERROR(models->Find(request.model(), "").status());
      for (const auto& model : models->models()) {
        if (model->name() == request.model()) FillModel(*model, *response.add_models());
      }
    }
    const absl::string_view method = EnergyMethodName(meter_.method());
    response.set_device(device_.description);
    response.set_energy_method(std::string(method));
    response.set_idle_watts(meter_.idle_watts());
    return absl::OkStatus();
  }

  void FillModel(const Model& model, v1::ModelDescription& description) const {
    // Of a variable number of positions: one position.
    const ModelWork one = model.Work(1, kNoPositions);
    const EnergyModel& energy = executor_.options().energy;
    description.set_name(model.name());
    description.set_version(absl::StrCat(model.version()));
    description.set_content_digest(model.content_digest());
    description.set_flops_per_row(one.flops);
    description.set_weight_bytes(model.resident_bytes());
    description.set_seconds_per_row(absl::ToDoubleSeconds(executor_.profile(model).one_row));
    description.set_joules_per_row(energy.joules_per_flop * one.flops * meter_.ratio());
    description.set_joules_per_request(energy.Joules(0, one.weight_bytes) * meter_.ratio());
    description.add_formats("fp32");
    description.set_max_batch_rows(static_cast<uint32_t>(model.contract().max_rows));
  }

  absl::Status CheckPrefetch(const ControlContext& context,
                             const v1::PrefetchRequest& request) const {
    if (!context.caller.trusted) {
      return absl::PermissionDeniedError("Prefetch is for trusted callers");
    }
    // Weights of all models stay in memory while they are served: what is known is there already.
    for (const std::string& name : request.models()) {
      PENSTOCK_RETURN_IF_ERROR(models_.Get()->Find(name, "").status());
    }
    return absl::OkStatus();
  }

  void FillLoad(double& booked, v1::Load& load) const {
    const Executor::Load now = executor_.load();
    load.set_in_flight(now.in_flight);
    load.set_queue_depth(now.queue_depth);
    load.set_watts(meter_.watts());
    const std::shared_ptr<const ModelRepository> models = models_.Get();
    load.set_models_fingerprint(models->fingerprint());
    for (const auto& model : models->models()) {
      if (load.resident_models().empty() ||
          load.resident_models(load.resident_models_size() - 1) != model->name()) {
        load.add_resident_models(model->name());
      }
    }
    const double corrections = meter_.totals().corrections;
    load.set_energy_correction_j(corrections - booked);
    booked = corrections;
  }

  const LiveRepository& models_;
  const Executor& executor_;
  const EnergyMeter& meter_;
  const Device& device_;
  const Clock& clock_;
  Timers& timers_;
  OpenStreams<LoadWatch> watches_;
};

ExpertControlService::ExpertControlService(const LiveRepository& models, const Executor& executor,
                                           const EnergyMeter& meter, const Device& device,
                                           const Clock& clock, Timers& timers)
    : service_(std::make_unique<Service>(models, executor, meter, device, clock, timers)) {}

ExpertControlService::~ExpertControlService() = default;

RpcService& ExpertControlService::service() { return *service_; }

void ExpertControlService::EndStreams() { service_->EndStreams(); }

}  // namespace penstock::expert
