#include "expert_service/expert_service.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/cpu_quota.h"
#include "common/config/config_changes.h"
#include "common/logging/log.h"
#include "common/metrics/service_registry.h"
#include "common/net/oip/oip_server.h"
#include "common/net/tracing/service_tracing.h"
#include "common/status_macros.h"
#include "common/time/timers.h"
#include "expert_service/execution/device.h"
#include "expert_service/execution/executor.h"
#include "expert_service/expert_metrics.h"
#include "expert_service/faults/fault_injector.h"
#include "expert_service/metering/energy_sampler.h"
#include "expert_service/metering/metering_factory.h"
#include "expert_service/metering/nvml.h"
#include "expert_service/models/live_repository.h"
#include "expert_service/oip/expert_control_service.h"
#include "expert_service/oip/expert_infer_handler.h"
#include "expert_service/oip/expert_oip_control.h"
#include "expert_service/oip/model_loader.h"
#include "expert_service/oip/readiness.h"
#include "expert_service/served_metrics.h"
#include "expert_service/triton_metrics.h"

namespace penstock::expert {
namespace {

constexpr int kDefaultWarmUpRuns = 3;
constexpr int kMaxThreads = 256;
constexpr int kMaxWarmUpRuns = 1000;
constexpr absl::Duration kRefresh = absl::Milliseconds(200);
// Ten readings a window: a window of ten counter steps or more is split fairly.
constexpr int kSamplesPerWindow = 10;

std::vector<std::string> NamesOf(const ModelRepository& models) {
  std::vector<std::string> names;
  for (const auto& model : models.models()) names.push_back(model->name());
  return names;
}

absl::Status CheckFixedFields(const config::v1::Expert& running, const config::v1::Expert& next) {
  config::v1::Expert was = running, is = next;
  for (config::v1::Expert* each : {&was, &is}) {
    each->clear_models();
    each->mutable_server()->clear_log();
  }
  const std::vector<std::string> changed = ChangedFields(was, is, 1);
  if (changed.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(changed[0], ": cannot change while the expert service runs, restart it"));
}

}  // namespace

// In order of construction: what comes later uses what comes before.
struct ExpertService::Parts {
  Parts(const config::v1::Expert& config_in, const Clock& clock_in)
      : config(config_in), clock(clock_in), timers(clock_in) {}

  // What is not told when it happens: that a model's last request was answered, and metrics.
  void Refresh() {
    executor->Sweep();
    if (metrics != nullptr) metrics->Refresh(executor->load(), *meter, executor->owners());
    MutexLock lock(refresh_mutex);
    if (refreshing) refresh = timers.Schedule(clock.Now() + kRefresh, [this] { Refresh(); });
  }

  // What is read when it is scraped.
  void TellWhatIsRead(ServiceRegistry& to) {
    served_metrics =
        std::make_unique<ServedMetrics>(*executor, *models, config.model_server_gauges());
    std::unique_ptr<GpuWatch> gpus;
    if (auto nvml = Nvml::Open(); nvml.ok()) {
      gpus = std::make_unique<GpuWatch>(*std::move(nvml), clock);
    }
    triton_metrics = std::make_unique<TritonMetrics>(*executor, *models, std::move(gpus),
                                                     std::make_unique<HostUsage>(clock));
    places.push_back(std::make_unique<ServiceRegistry::Place>(to, *served_metrics));
    places.push_back(std::make_unique<ServiceRegistry::Place>(to, *triton_metrics));
  }

  const config::v1::Expert config;
  const Clock& clock;
  std::unique_ptr<ServiceTracing> tracing;
  Readiness readiness;
  Device device;
  std::unique_ptr<LiveRepository> models;
  std::unique_ptr<EnergyMeter> meter;
  std::shared_ptr<ServiceRegistry> registry;  // what `metrics` writes into
  std::unique_ptr<ExpertMetrics> metrics;  // null: nothing is exported
  ExpertEvents no_events;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<ServedMetrics> served_metrics;  // null: nothing is exported
  std::unique_ptr<TritonMetrics> triton_metrics;  // likewise
  std::vector<std::unique_ptr<ServiceRegistry::Place>> places;
  Mutex refresh_mutex;
  bool refreshing ABSL_GUARDED_BY(refresh_mutex) = false;
  Timers::Id refresh ABSL_GUARDED_BY(refresh_mutex) = 0;
  std::unique_ptr<FaultInjector> faults;  // null: none; the timers run into it
  ThreadTimers timers;
  std::unique_ptr<EnergySampler> sampler;
  std::unique_ptr<ModelLoader> loader;
  std::unique_ptr<ExpertInferHandler> handler;
  std::unique_ptr<ExpertOipControl> control;
  std::unique_ptr<OipServer> server;
  std::unique_ptr<ExpertControlService> control_service;  // after the server, whose callers it asks
};

absl::Status ExpertService::Validate(const config::v1::Expert& config) {
  if (config.model_repository().empty()) {
    return absl::InvalidArgumentError("model_repository is empty");
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(config.model_repository(), ignored)) {
    return absl::InvalidArgumentError(
        absl::StrCat("model_repository: ", config.model_repository(), " is not a directory"));
  }
  const config::v1::Execution& execution = config.execution();
  if (execution.has_threads() && (execution.threads() < 1 || execution.threads() > kMaxThreads)) {
    return absl::InvalidArgumentError(absl::StrCat("execution.threads must be in [1, ", kMaxThreads,
                                                   "], found ", execution.threads()));
  }
  if (execution.warm_up_runs() > kMaxWarmUpRuns) {
    return absl::InvalidArgumentError(absl::StrCat("execution.warm_up_runs must be in [0, ",
                                                   kMaxWarmUpRuns, "], found ",
                                                   execution.warm_up_runs()));
  }
  PENSTOCK_RETURN_IF_ERROR(ServiceTracing::Validate(config.server().tracing()));
  PENSTOCK_RETURN_IF_ERROR(FaultInjector::ReadOptions(config.fault()).status());
  PENSTOCK_RETURN_IF_ERROR(ServedMetrics::Check(config.model_server_gauges()));
  return CheckMetering(config.metering());
}

absl::Status ExpertService::CheckFiles(const config::v1::Expert& config) {
  const absl::Status status =
      ModelRepository::Load(config.model_repository(),
                            {config.models().begin(), config.models().end()})
          .status();
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("model_repository: ", status.message()));
}

absl::StatusOr<std::unique_ptr<ExpertService>> ExpertService::Create(
    const config::v1::Expert& config, const Clock& clock, Options options) {
  PENSTOCK_RETURN_IF_ERROR(Validate(config));
  auto parts = std::make_unique<Parts>(config, clock);
  PENSTOCK_ASSIGN_OR_RETURN(parts->tracing, ServiceTracing::Create(config.server().tracing(), "expert",
                                                                   clock, options.registry));
  PENSTOCK_ASSIGN_OR_RETURN(parts->device, SelectDevice(config.execution().kernels()));
  PENSTOCK_ASSIGN_OR_RETURN(
      parts->models, LiveRepository::Open(config.model_repository(),
                                          {config.models().begin(), config.models().end()},
                                          &clock));
  const std::shared_ptr<const ModelRepository> models = parts->models->Get();
  PENSTOCK_ASSIGN_OR_RETURN(parts->meter,
                            MakeEnergyMeter(config.metering(), parts->device.on_gpu, clock.Now()));
  if (options.registry != nullptr) {
    parts->registry = options.registry;
    parts->metrics = std::make_unique<ExpertMetrics>(*parts->registry, NamesOf(*models));
  }
  ExpertEvents& events =
      parts->metrics == nullptr ? parts->no_events : static_cast<ExpertEvents&>(*parts->metrics);

  Executor::Options execution;
  execution.threads = config.execution().has_threads()
                          ? static_cast<int>(config.execution().threads())
                          : UsableCores();
  execution.warm_up_runs = config.execution().has_warm_up_runs()
                               ? static_cast<int>(config.execution().warm_up_runs())
                               : kDefaultWarmUpRuns;
  execution.energy = MakeEnergyModel(config.metering());
  parts->executor =
      std::make_unique<Executor>(execution, *models, *parts->meter, clock, events);
  if (parts->registry != nullptr) parts->TellWhatIsRead(*parts->registry);
  parts->loader = std::make_unique<ModelLoader>(
      *parts->models, *parts->executor,
      [metrics = parts->metrics.get()](const std::vector<std::string>& names) {
        if (metrics != nullptr) metrics->AddModels(names);
      });
  parts->handler = std::make_unique<ExpertInferHandler>(
      *parts->models, *parts->executor, *parts->meter, parts->readiness, clock, events,
      parts->tracing->tracer());
  if (config.has_fault()) {
    PENSTOCK_ASSIGN_OR_RETURN(const FaultInjector::Options faults,
                              FaultInjector::ReadOptions(config.fault()));
    LogWarning("faults_injected")
        .With("faults", faults.ToString())
        .With("reason", "requests are slowed or failed on purpose");
    parts->faults =
        std::make_unique<FaultInjector>(faults, *parts->handler, clock, parts->timers);
  }
  parts->control =
      std::make_unique<ExpertOipControl>(*parts->models, *parts->loader, *parts->executor,
                                         parts->readiness);

  OipServerOptions server;
  server.service = "expert";
  server.config = config.server();
  server.default_address = options.default_address;
  server.trusted_names = {config.trusted_routers().begin(), config.trusted_routers().end()};
  server.trust_plaintext = config.trust_plaintext();
  server.registry = options.registry;
  PENSTOCK_ASSIGN_OR_RETURN(parts->server, OipServer::Create(std::move(server)));
  parts->control_service = std::make_unique<ExpertControlService>(
      *parts->models, *parts->executor, *parts->meter, parts->device,
      clock, parts->timers);
  return std::unique_ptr<ExpertService>(new ExpertService(std::move(parts)));
}

ExpertService::ExpertService(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

ExpertService::~ExpertService() {
  Parts& parts = *parts_;
  parts.control_service->EndStreams();
  // Calls that outlasted the drain are still the executor's and the loader's, which answer them into
  // the server.
  parts.server->Drain();
  if (parts.faults != nullptr) parts.faults->Stop();
  parts.loader.reset();
  parts.executor->Stop();
  parts.server.reset();
  MutexLock lock(parts.refresh_mutex);
  parts.refreshing = false;
}

absl::Status ExpertService::Start() {
  Parts& parts = *parts_;
  InferHandler& handler =
      parts.faults == nullptr ? static_cast<InferHandler&>(*parts.handler) : *parts.faults;
  PENSTOCK_RETURN_IF_ERROR(
      parts.server->Start(handler, *parts.control, {&parts.control_service->service()}));
  parts.sampler = std::make_unique<EnergySampler>(
      *parts.meter, parts.clock, MeteringWindow(parts.config.metering()) / kSamplesPerWindow);
  PENSTOCK_RETURN_IF_ERROR(parts.executor->WarmUp());
  const std::shared_ptr<const ModelRepository> models = parts.models->Get();
  for (const auto& model : models->models()) {
    const Executor::Profile profile = parts.executor->profile(*model);
    LogInfo("model_ready")
        .With("model", model->name())
        .With("version", model->version())
        .With("weight_bytes", model->resident_bytes())
        .With("one_row_seconds", absl::ToDoubleSeconds(profile.one_row))
        .With("full_batch_seconds", absl::ToDoubleSeconds(profile.full_batch));
  }
  parts.executor->Start();
  {
    MutexLock lock(parts.refresh_mutex);
    parts.refreshing = true;
  }
  parts.Refresh();
  LogInfo("ready")
      .With("device", parts.device.description)
      .With("energy", parts.meter->description())
      .With("threads", parts.executor->options().threads);
  parts.readiness.Set(Readiness::kReady);
  parts.server->SetServing(true);
  return absl::OkStatus();
}

absl::StatusOr<PreparedReload> ExpertService::PrepareReload(const config::v1::Expert& next,
                                                            const Notification& give_up) {
  Parts& parts = *parts_;
  PENSTOCK_RETURN_IF_ERROR(CheckFixedFields(parts.config, next));
  PENSTOCK_RETURN_IF_ERROR(Validate(next));
  PENSTOCK_ASSIGN_OR_RETURN(LiveRepository::Staged staged,
                            parts.models->Stage({next.models().begin(), next.models().end()},
                                                &give_up));
  PENSTOCK_RETURN_IF_ERROR(parts.loader->Begin(staged.begun, &give_up));
  PreparedReload prepared;
  prepared.changes = staged.changes;
  prepared.commit = [&parts, staged = std::move(staged)]() mutable {
    parts.models->Commit(std::move(staged));
    parts.executor->Sweep();
  };
  return prepared;
}

std::vector<std::string> ExpertService::FilesOf(const config::v1::Expert& config) {
  return PathsOfRepository(config.model_repository());
}

std::string ExpertService::Fingerprint() const { return parts_->models->Fingerprint(); }

void ExpertService::Drain() {
  parts_->readiness.Set(Readiness::kDraining);
  parts_->server->BeginDrain();
  parts_->control_service->EndStreams();
  parts_->server->Drain();
  parts_->tracing->Finish();
}

const std::string& ExpertService::address() const { return parts_->server->address(); }

std::shared_ptr<grpc::Channel> ExpertService::InProcessChannel() {
  return parts_->server->InProcessChannel();
}

ClientQueues& ExpertService::queues() { return parts_->server->queues(); }

}  // namespace penstock::expert
