#include "router_service/router_service.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/logging/log.h"
#include "common/mutex.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/oip_server.h"
#include "common/net/resolve_name.h"
#include "common/net/tracing/service_tracing.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "common/store/store.h"
#include "common/time/timers.h"
#include "router_service/dispatch/request_pipeline.h"
#include "router_service/dispatch/shadow/shadow_trials.h"
#include "router_service/oip/budget_calls.h"
#include "router_service/oip/grpc_replica_connector.h"
#include "router_service/oip/router_oip_control.h"
#include "router_service/oip/routing_service.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/leasing/shared_window_ledger.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "router_service/pacing/sharing/demand_exchange.h"
#include "router_service/pools/guard_loop.h"
#include "router_service/pools/plan_loop.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/pools/pool_files.h"
#include "router_service/pools/pool_in_flight.h"
#include "router_service/recording/decision_log.h"
#include "router_service/recording/head_publisher.h"
#include "router_service/replicas/shared_load/replica_keys.h"
#include "router_service/replicas/shared_load/shared_load.h"
#include "router_service/router_reload.h"
#include "router_service/router_telemetry.h"
#include "router_service/settings/budget_settings.h"
#include "router_service/settings/shared_settings.h"
#include "router_service/settings_log.h"
#include "router_service/tenant_usage.h"

namespace penstock::router {
namespace {

// How soon the router notices that its pools have their experts.
constexpr absl::Duration kReadyCheck = absl::Milliseconds(20);
constexpr absl::Duration kReadyWithoutStore = absl::Seconds(2);
// How long leases are given back when the router ends.
constexpr absl::Duration kReturnTime = absl::Milliseconds(500);
constexpr absl::Duration kLongestStoreGrace = absl::Hours(24);
// What was used is told to the store once more before the process ends.
constexpr absl::Duration kLastTelling = absl::Seconds(1);

class NoObserver final : public RouteObserver {
 public:
  void RequestFinished(const RouteEvent&) override {}
};

// Never connects: to check a configuration.
class NoConnector final : public ReplicaConnector {
 public:
  absl::StatusOr<std::shared_ptr<ReplicaConnection>> Connect(
      const config::v1::Endpoint&) override {
    return std::make_shared<NoConnection>();
  }
  absl::StatusOr<std::shared_ptr<ReplicaConnection>> ConnectTo(const config::v1::Endpoint&,
                                                               const std::string&) override {
    return std::make_shared<NoConnection>();
  }

 private:
  class NoConnection final : public ReplicaConnection, public InferTarget {
   public:
    InferTarget& target() override { return *this; }
    void Describe(const std::string&, const std::string&, absl::Duration,
                  absl::AnyInvocable<void(absl::StatusOr<ReplicaFacts>)>) override {}
    void Probe(const std::string&, const std::string&, absl::Duration,
               absl::AnyInvocable<void(absl::Status)>) override {}
    void WatchLoad(std::weak_ptr<const void>, std::function<void(const v1::Load&)>) override {}
    std::shared_ptr<OutgoingCall> ModelInfer(Bytes, CallOptions,
                                             absl::AnyInvocable<void(InferReply)>) override {
      return nullptr;
    }
    bool healthy() const override { return false; }
    absl::string_view address() const override { return ""; }
  };
};

class NoTimers final : public Timers {
 public:
  Id Schedule(absl::Time, absl::AnyInvocable<void()>) override { return 1; }
  bool Cancel(Id) override { return true; }
};

absl::StatusOr<SharedWindowLedger::Options> LedgerOptions(const config::v1::Router& config,
                                                          uint32_t instance) {
  SharedWindowLedger::Options options;
  options.owner = absl::StrFormat("%08x", instance);
  if (config.has_store_grace()) {
    options.grace = absl::Seconds(config.store_grace().seconds()) +
                    absl::Nanoseconds(config.store_grace().nanos());
  }
  if (options.grace < absl::ZeroDuration() || options.grace > kLongestStoreGrace) {
    return absl::InvalidArgumentError(absl::StrCat("store_grace is ",
                                                   absl::FormatDuration(options.grace),
                                                   ", wanted one in [0, 24h]"));
  }
  options.deny_after_grace = config.on_store_down() == config::v1::Router::DENY;
  return options;
}

void LogNotReady(const Pool& pool, const std::string& why) {
  LogWarning("pool_not_ready").With("pool", pool.name()).With("reason", why);
}

uint32_t DrawInstance(const Clock& clock) {
  CounterRandom random(static_cast<uint64_t>(absl::ToUnixNanos(clock.Now())),
                       static_cast<uint64_t>(getpid()));
  return static_cast<uint32_t>(random.Bits());
}

}  // namespace

// In order of construction: what comes later uses what comes before.
struct RouterService::Parts {
  Parts(const config::v1::Router& config_in, const Clock& clock_in)
      : config(config_in), clock(clock_in), timers(clock_in) {}

  BudgetPacer::Options PacerOptions() const {
    BudgetPacer::Options options;
    options.learning = config.learning() == config::v1::Router::ON;
    return options;
  }

  void CheckReady() {
    MutexLock lock(ready_mutex);
    if (!checking) return;
    if (catalogue->ready() && BudgetsReady() && readiness.SetReady()) {
      server->SetServing(true);
      LogInfo("ready").With("pools", catalogue->All().size());
      for (const auto& pool : catalogue->All()) {
        if (!pool->ready()) LogNotReady(*pool, pool->NotReadyBecause());
        if (pool->rooms == nullptr) continue;
        for (const std::string& warning : pool->rooms->warnings) {
          LogWarning("pool_warning").With("pool", pool->name()).With("reason", warning);
        }
      }
      return;
    }
    // What no waiting will mend, once: a file that is missing or does not fit.
    for (const auto& pool : catalogue->All()) {
      if (pool->unusable_because.empty()) continue;
      std::string& told = told_unusable[pool->name()];
      if (told == pool->unusable_because) continue;
      told = pool->unusable_because;
      LogNotReady(*pool, told);
    }
    ready_timer = timers.Schedule(clock.Now() + kReadyCheck, [this] { CheckReady(); });
  }

  // What other routers spent, and which budgets were set by call, is read before requests count on
  // more; a store that is not there is not waited for.
  bool BudgetsReady() const {
    return shared_ledger == nullptr ||
           (shared_ledger->ready() && demand->heard() && shared_settings->heard()) ||
           clock.Now() >= started + kReadyWithoutStore;
  }

  void StopChecking() {
    MutexLock lock(ready_mutex);
    checking = false;
    if (ready_timer != 0) timers.Cancel(ready_timer);
  }

  const config::v1::Router config;
  const Clock& clock;
  std::unique_ptr<ServiceTracing> tracing;
  RouterReadiness readiness;
  NoObserver no_observer;
  std::unique_ptr<RouterTelemetry> telemetry;  // null: nothing is exported
  std::unique_ptr<Store> store;  // what routers share
  std::shared_ptr<WindowLedger> ledger;
  std::shared_ptr<SharedWindowLedger> shared_ledger;  // the same; null: budgets are this router's
  std::unique_ptr<HeadPublisher> heads;  // of the log; null: there is no folder, or nobody else to keep them
  std::unique_ptr<DecisionLog> log;  // the pacer writes into it
  std::unique_ptr<BudgetPacer> pacer;
  std::unique_ptr<BudgetSettings> settings;
  std::unique_ptr<TenantUsage> usage;
  Mutex ready_mutex;
  bool checking ABSL_GUARDED_BY(ready_mutex) = true;
  std::map<std::string, std::string> told_unusable ABSL_GUARDED_BY(ready_mutex);  // by pool
  Timers::Id ready_timer ABSL_GUARDED_BY(ready_mutex) = 0;
  absl::Time started = absl::InfiniteFuture();
  ThreadTimers timers;
  // Its threads run calls' callbacks until it is gone, so it goes before what they use, and after the
  // connections that stand on its queues.
  std::unique_ptr<OipServer> server;
  std::unique_ptr<GrpcReplicaConnector> connector;
  EndpointNames names{ResolveName};
  std::shared_ptr<PoolCatalogue> catalogue;
  std::unique_ptr<PoolInFlight> in_flight;
  std::shared_ptr<SharedLoad> shared_load;  // null: no other router has the store
  std::shared_ptr<DemandExchange> demand;   // null: likewise
  std::unique_ptr<PlanLoop> plans;
  std::shared_ptr<GuardLoop> guards;
  std::unique_ptr<RequestPipeline> pipeline;
  std::unique_ptr<RouterOipControl> control;
  std::unique_ptr<ShadowTrials> trials;
  std::unique_ptr<SharedSettings> shared_settings;  // null: no other router has the store
  std::unique_ptr<BudgetCalls> budget_calls;
  std::unique_ptr<RoutingService> routing;
  bool has_in_process_expert = false;
  std::unique_ptr<RouterReload> reload;
};

absl::Status RouterService::Validate(const config::v1::Router& config,
                                     bool has_in_process_expert) {
  if (config.has_watts_per_core() && !(config.watts_per_core() >= 0)) {
    return absl::InvalidArgumentError("watts_per_core is negative");
  }
  PENSTOCK_RETURN_IF_ERROR(ServiceTracing::Validate(config.server().tracing()));
  const RealClock clock;
  if (absl::Status status = CheckStoreAddress(config.store()); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat("store: ", status.message()));
  }
  PENSTOCK_RETURN_IF_ERROR(LedgerOptions(config, 0).status());
  NoTimers timers;
  NoConnector connector;
  PENSTOCK_RETURN_IF_ERROR(
      PoolCatalogue::Create(config, has_in_process_expert, timers, clock, connector).status());
  MemoryWindowLedger ledger;
  BudgetPacer pacer(clock, ledger, {});
  PENSTOCK_RETURN_IF_ERROR(BudgetSettings(pacer, clock, 0).ConfigureAll(config));
  return DecisionLog::Validate(config.decision_log());
}

absl::Status RouterService::CheckFiles(const config::v1::Router& config) {
  for (const config::v1::Pool& pool : config.pools()) {
    PENSTOCK_RETURN_IF_ERROR(CheckPoolFiles(pool));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RouterService>> RouterService::Create(
    const config::v1::Router& config, const Clock& clock, Options options) {
  const bool has_in_process_expert = options.in_process_expert != nullptr;
  PENSTOCK_RETURN_IF_ERROR(Validate(config, has_in_process_expert));
  auto parts = std::make_unique<Parts>(config, clock);
  PENSTOCK_ASSIGN_OR_RETURN(parts->tracing, ServiceTracing::Create(config.server().tracing(), "router",
                                                                   clock, options.registry));
  const uint32_t instance = options.instance != 0 ? options.instance : DrawInstance(clock);
  PENSTOCK_ASSIGN_OR_RETURN(parts->store, MakeStore(config.store(), clock, instance));
  const bool is_shared = IsSharedStore(config.store());
  if (is_shared) {
    PENSTOCK_ASSIGN_OR_RETURN(SharedWindowLedger::Options of_ledger,
                              LedgerOptions(config, instance));
    parts->shared_ledger = std::make_shared<SharedWindowLedger>(*parts->store, parts->timers, clock,
                                                                std::move(of_ledger));
    parts->ledger = parts->shared_ledger;
  } else {
    parts->ledger = std::make_shared<MemoryWindowLedger>();
  }
  DecisionLog::HeadSynced head_synced;
  if (is_shared && !config.decision_log().directory().empty()) {
    parts->heads = std::make_unique<HeadPublisher>(
        *parts->store, clock,
        [](const std::string& problem) { LogError("decision_log").With("problem", problem); });
    head_synced = [heads = parts->heads.get()](const LogHead& head) { heads->HeadSynced(head); };
  }
  PENSTOCK_ASSIGN_OR_RETURN(parts->log, DecisionLog::Create(config.decision_log(), instance, clock,
                                                            std::move(head_synced)));
  parts->pacer = std::make_unique<BudgetPacer>(clock, *parts->ledger, parts->PacerOptions(),
                                               parts->log->journal());
  parts->settings = std::make_unique<BudgetSettings>(*parts->pacer, clock, instance);
  PENSTOCK_RETURN_IF_ERROR(parts->settings->ConfigureAll(config));

  OipServerOptions server;
  server.service = "router";
  server.config = config.server();
  server.default_address = options.default_address;
  server.trusted_names = {config.trusted_gateways().begin(), config.trusted_gateways().end()};
  server.trust_plaintext = config.trust_plaintext();
  server.registry = options.registry;
  PENSTOCK_ASSIGN_OR_RETURN(parts->server, OipServer::Create(std::move(server)));

  const uint64_t max_message_bytes = config.server().has_max_message_bytes()
                                         ? config.server().max_message_bytes()
                                         : kDefaultMaxMessageBytes;
  parts->connector = std::make_unique<GrpcReplicaConnector>(
      parts->server->queues(), max_message_bytes, std::move(options.in_process_expert));
  PENSTOCK_ASSIGN_OR_RETURN(
      parts->catalogue, PoolCatalogue::Create(config, has_in_process_expert, parts->timers, clock,
                                              *parts->connector, &parts->names));
  parts->catalogue->SetIdleWattsHandler([&pacer = *parts->pacer](absl::string_view pool,
                                                                double watts) {
    pacer.SetIdleWatts(pool, watts);
  });
  parts->plans = std::make_unique<PlanLoop>(
      *parts->catalogue, [parts = parts.get()](const Pool& pool, const AdmissionPlan& plan) {
        LogInfo("plan_made")
            .With("pool", pool.name())
            .With("plan", plan.version)
            .With("reason", ReplanReasonName(plan.reason))
            .With("awake", std::count(plan.awake.begin(), plan.awake.end(), 1))
            .With("of", plan.awake.size())
            .With("verdict", plan.verdict);
        if (parts->telemetry != nullptr) parts->telemetry->PlanMade(pool, plan);
      });
  if (is_shared) {
    parts->in_flight = std::make_unique<PoolInFlight>(
        [&catalogue = *parts->catalogue] { return catalogue.All(); }, ReplicaKeys::OfThisProcess());
    parts->shared_load = std::make_shared<SharedLoad>(
        SharedLoad::Deps{*parts->store, clock, parts->timers, *parts->in_flight},
        absl::StrFormat("%08x", instance));
    // A router that was started again under its number tells its totals from zero.
    parts->demand = std::make_shared<DemandExchange>(
        *parts->pacer, *parts->store, parts->timers, clock,
        absl::StrFormat("%08x-%x", instance, absl::ToUnixMillis(clock.Now())));
  }
  if (options.registry != nullptr) {
    parts->telemetry = std::make_unique<RouterTelemetry>(RouterTelemetry::Deps{
        options.registry, config, *parts->catalogue, *parts->store, clock, parts->timers,
        *parts->pacer, parts->shared_ledger.get(), parts->shared_load.get(), *parts->log});
  }
  parts->guards = std::make_shared<GuardLoop>(
      *parts->catalogue, clock, parts->timers, config.seed() ^ instance,
      [telemetry = parts->telemetry.get(), heads = parts->heads.get()](const auto& pools) {
        if (telemetry != nullptr) telemetry->Swept(pools);
        if (heads != nullptr) heads->Tick();
      });
  parts->usage = std::make_unique<TenantUsage>(
      is_shared ? parts->store.get() : nullptr, clock, parts->timers, instance,
      parts->telemetry == nullptr ? static_cast<RouteObserver&>(parts->no_observer)
                                  : parts->telemetry->observer());
  parts->pipeline = std::make_unique<RequestPipeline>(
      *parts->catalogue, RouteRooms{clock, parts->timers, *parts->pacer, *parts->log,
                                    parts->usage->observer(),
                                    config.seed(), parts->tracing->tracer()});
  parts->control = std::make_unique<RouterOipControl>(*parts->catalogue, parts->readiness);
  parts->trials = std::make_unique<ShadowTrials>(*parts->catalogue);
  if (is_shared) {
    parts->shared_settings = std::make_unique<SharedSettings>(
        SharedSettings::Deps{*parts->settings, *parts->store, clock, parts->timers},
        LoggedSettings());
  }
  parts->budget_calls = std::make_unique<BudgetCalls>(
      BudgetCalls::Deps{*parts->catalogue, *parts->pacer, *parts->settings,
                        parts->shared_settings.get(), parts->usage->pages(), clock});
  parts->routing =
      std::make_unique<RoutingService>(*parts->catalogue, *parts->pipeline, *parts->budget_calls,
                                       *parts->log, *parts->trials);
  parts->has_in_process_expert = has_in_process_expert;
  parts->reload = std::make_unique<RouterReload>(
      config, RouterReload::Deps{*parts->catalogue, *parts->settings, *parts->plans,
                                 parts->telemetry.get()});
  return std::unique_ptr<RouterService>(new RouterService(std::move(parts)));
}

absl::StatusOr<PreparedReload> RouterService::PrepareReload(const config::v1::Router& next,
                                                            const Notification& give_up) {
  PENSTOCK_RETURN_IF_ERROR(Validate(next, parts_->has_in_process_expert));
  return parts_->reload->Prepare(next, give_up);
}

std::vector<std::string> RouterService::FilesOf(const config::v1::Router& config) {
  std::vector<std::string> files;
  for (const config::v1::Pool& pool : config.pools()) {
    for (std::string& path : PathsOf(pool)) files.push_back(std::move(path));
  }
  return files;
}

std::string RouterService::Fingerprint() const { return parts_->reload->Fingerprint(); }

RouterService::RouterService(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

RouterService::~RouterService() {
  Drain();
  // Before the calls that they answer go with their server.
  parts_->shared_settings = nullptr;
  parts_->usage->Stop();
  parts_->plans->Stop();
  parts_->guards->Stop();
  if (parts_->shared_load != nullptr) parts_->shared_load->Stop();
  if (parts_->demand != nullptr) parts_->demand->Stop();
  if (parts_->telemetry != nullptr) parts_->telemetry->Stop();
  parts_->names.Stop();
  parts_->catalogue->Stop();
  if (parts_->shared_ledger != nullptr) parts_->shared_ledger->Stop(kReturnTime);
}

absl::Status RouterService::Start() {
  Parts& parts = *parts_;
  parts.started = parts.clock.Now();
  if (parts.shared_ledger != nullptr) parts.shared_ledger->Start();
  PENSTOCK_RETURN_IF_ERROR(
      parts.server->Start(*parts.pipeline, *parts.control, {&parts.routing->service()}));
  parts.catalogue->Start();
  parts.names.Start([&catalogue = *parts.catalogue] { catalogue.RefreshNames(); });
  parts.guards->Start();
  if (parts.shared_settings != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(parts.shared_settings->Start());
  }
  parts.usage->Start();
  if (parts.shared_load != nullptr) parts.shared_load->Start();
  if (parts.demand != nullptr) parts.demand->Start();
  if (parts.telemetry != nullptr) parts.telemetry->Start();
  parts.plans->Start();
  parts.CheckReady();
  return absl::OkStatus();
}

bool RouterService::WaitUntilReady(absl::Duration timeout) const {
  return parts_->readiness.was_ready().WaitWithTimeout(timeout);
}

void RouterService::Drain() {
  parts_->StopChecking();
  parts_->readiness.SetDraining();
  parts_->server->BeginDrain();
  parts_->routing->EndStreams();
  parts_->server->Drain();
  parts_->usage->Finish(kLastTelling);
  parts_->tracing->Finish();
}

const std::string& RouterService::address() const { return parts_->server->address(); }

std::shared_ptr<grpc::Channel> RouterService::InProcessChannel() {
  return parts_->server->InProcessChannel();
}

uint64_t RouterService::accepted() const { return parts_->server->accepted(); }
uint64_t RouterService::answered() const { return parts_->server->answered(); }

}  // namespace penstock::router
