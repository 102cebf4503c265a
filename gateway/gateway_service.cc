#include "gateway/gateway_service.h"

#include <prometheus/registry.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/mutex.h"
#include "common/config/config_changes.h"
#include "common/metrics/store_metrics.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/oip_server.h"
#include "common/status_macros.h"
#include "common/time/timers.h"
#include "gateway/admission/admission.h"
#include "gateway/admission/tenant_quotas.h"
#include "gateway/caching/response_cache.h"
#include "gateway/forwarding/forwarder.h"
#include "gateway/forwarding/router_connector.h"
#include "gateway/forwarding/router_set.h"
#include "gateway/gateway_metrics.h"
#include "gateway/identity/authenticator.h"
#include "gateway/identity/credentials_watch.h"
#include "gateway/oip/cache_policy_poll.h"
#include "gateway/oip/catalogue.h"
#include "gateway/oip/infer_forwarding.h"
#include "gateway/oip/routing_proxy.h"

namespace penstock::gateway {
namespace {

// How long another configuration's routers may take to be healthy.
constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr absl::Duration kHealthCheck = absl::Milliseconds(10);

// Prefix of request ids: the process's start, to the microsecond.
std::string InstanceName(const Clock& clock) {
  return absl::StrFormat("%x", absl::ToUnixMicros(clock.Now()));
}

absl::Duration CatalogueTtl(const config::v1::Gateway& config) {
  if (!config.has_catalogue_ttl()) return absl::Seconds(1);
  return absl::Seconds(config.catalogue_ttl().seconds()) +
         absl::Nanoseconds(config.catalogue_ttl().nanos());
}

Forwarder::Routers TargetsOf(const RouterSet::Routers& routers) {
  Forwarder::Routers targets;
  for (const std::shared_ptr<const Router>& router : routers) targets.push_back(router->target);
  return targets;
}

bool AnyHealthy(const RouterSet::Routers& routers) {
  return std::any_of(routers.begin(), routers.end(),
                     [](const auto& router) { return router->target->healthy(); });
}

absl::Status CheckFixedFields(const config::v1::Gateway& running, const config::v1::Gateway& next) {
  config::v1::Gateway was = running, is = next;
  for (config::v1::Gateway* each : {&was, &is}) {
    each->clear_routers();
    each->clear_admission();
    each->clear_catalogue_ttl();
  }
  const std::vector<std::string> changed = ChangedFields(was, is, 1);
  if (changed.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(changed[0], ": cannot change while the gateway runs, restart it"));
}

}  // namespace

// Declared in the order in which the parts lean on each other; destroyed the other way round.
struct GatewayService::State {
  State(const config::v1::Gateway& running, const Clock& service_clock,
        std::shared_ptr<prometheus::Registry> to)
      : config(running), clock(service_clock), registry(std::move(to)), metrics(*registry), timers(clock) {}

  // A router came or went: the gateway serves while one is healthy. Called on gRPC's threads, too.
  void RoutersHealthy(int healthy) {
    std::shared_ptr<CachePolicyPoll> poll;
    {
      MutexLock lock(mutex);
      healthy_routers = healthy;
      if (catalogue != nullptr) catalogue->SetReady(healthy_routers > 0);
      if (started) server->SetServing(healthy_routers > 0);
      if (started) poll = cache_policies;
      changed.NotifyAll();
    }
    if (poll != nullptr) poll->AskSoon();
  }

  config::v1::Gateway config;  // that serves; of whoever reloads
  bool has_in_process_router = false;
  const Clock& clock;
  const std::shared_ptr<prometheus::Registry> registry;
  GatewayMetrics metrics;
  ThreadTimers timers;
  Mutex mutex;
  CondVar changed;
  int healthy_routers ABSL_GUARDED_BY(mutex) = 0;
  bool started ABSL_GUARDED_BY(mutex) = false;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<CredentialsWatch> credentials_watch;
  std::unique_ptr<TenantQuotas> quotas;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<OipServer> server;
  std::unique_ptr<RouterSet> routers;
  std::unique_ptr<Forwarder> forwarder;
  std::unique_ptr<ResponseCache> cache;              // null: there is none
  std::shared_ptr<StoreMetrics> store_metrics;       // null: it has no store
  std::shared_ptr<CachePolicyPoll> cache_policies;  // null: likewise; fixed before `started`
  std::unique_ptr<InferForwarding> infer;
  std::unique_ptr<Catalogue> catalogue;
  std::unique_ptr<RoutingProxy> routing;
  // Gone first: what it tells of routers' health reaches the parts above.
  std::unique_ptr<RouterConnector> connector;
};

absl::Status GatewayService::Validate(const config::v1::Gateway& config, bool has_in_process_router) {
  if (config.routers().empty() && !has_in_process_router) {
    return absl::InvalidArgumentError("routers: wanted at least one, got none");
  }
  for (int i = 0; i < config.routers_size(); ++i) {
    const std::string& address = config.routers(i).address();
    if (address.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("routers[", i, "].address: is empty"));
    }
    if (absl::StartsWith(address, "inprocess:") &&
        (address != kInprocessRouter || !has_in_process_router)) {
      return absl::InvalidArgumentError(
          absl::StrCat("routers[", i, "].address: ", address,
                       " is not in this process; wanted HOST:PORT or unix:PATH"));
    }
  }
  // Builds and drops what has ranges of its own.
  const RealClock clock;
  ThreadTimers timers(clock);
  PENSTOCK_RETURN_IF_ERROR(Admission::Check(config.admission()));
  PENSTOCK_RETURN_IF_ERROR(TenantQuotas::Create(config.identity().quotas(), clock).status());
  PENSTOCK_RETURN_IF_ERROR(CredentialsWatch::Interval(config.identity()).status());
  PENSTOCK_ASSIGN_OR_RETURN(const CacheOptions cache, ReadCacheOptions(config.cache()));
  PENSTOCK_RETURN_IF_ERROR(ResponseCache::CheckStore(cache));
  return Authenticator::Create(config.identity(), clock, nullptr).status();
}

absl::StatusOr<std::unique_ptr<GatewayService>> GatewayService::Create(
    const config::v1::Gateway& config, const Clock& clock, Options options) {
  PENSTOCK_RETURN_IF_ERROR(Validate(config, options.in_process_router != nullptr));
  auto state = std::make_unique<State>(config, clock, options.registry);
  state->has_in_process_router = options.in_process_router != nullptr;
  PENSTOCK_ASSIGN_OR_RETURN(state->authenticator,
                            Authenticator::Create(config.identity(), clock, &state->metrics));
  PENSTOCK_ASSIGN_OR_RETURN(state->credentials_watch,
                            CredentialsWatch::Start(config.identity(), *state->authenticator));
  PENSTOCK_ASSIGN_OR_RETURN(state->quotas,
                            TenantQuotas::Create(config.identity().quotas(), clock));
  PENSTOCK_ASSIGN_OR_RETURN(state->admission, Admission::Create(config.admission(), clock,
                                                                state->timers, state->metrics));
  OipServerOptions server;
  server.service = "gateway";
  server.config = config.server();
  server.default_address = options.default_address;
  // Callers may stand behind a balancer, which spreads connections, not calls.
  server.max_connection_age = absl::Minutes(10);
  server.registry = options.registry;
  PENSTOCK_ASSIGN_OR_RETURN(state->server, OipServer::Create(std::move(server)));

  state->connector = std::make_unique<RouterConnector>(
      state->server->queues(),
      config.server().has_max_message_bytes() ? config.server().max_message_bytes()
                                              : kDefaultMaxMessageBytes,
      options.in_process_router,
      [to = state.get()](int healthy) { to->RoutersHealthy(healthy); });
  PENSTOCK_ASSIGN_OR_RETURN(const RouterSet::Routers routers, state->connector->Connect(config));
  state->routers = std::make_unique<RouterSet>(routers);
  state->forwarder = std::make_unique<Forwarder>(std::vector<InferTarget*>(), clock, state->timers,
                                                 state->metrics);
  state->forwarder->SetRouters(TargetsOf(routers));
  Catalogue::Deps catalogue{*state->routers, *state->authenticator, clock};
  catalogue.ttl = CatalogueTtl(config);
  PENSTOCK_RETURN_IF_ERROR(MakeCache(config, catalogue.ttl, *state));
  state->infer = std::make_unique<InferForwarding>(InferForwarding::Deps{
      *state->authenticator, *state->admission, *state->quotas, *state->forwarder, state->metrics,
      clock, InstanceName(clock), state->cache == nullptr ? nullptr : &state->cache->forwarder()});
  state->routing = std::make_unique<RoutingProxy>(RoutingProxy::Deps{
      *state->routers, *state->authenticator, clock});
  {
    MutexLock lock(state->mutex);
    state->catalogue = std::make_unique<Catalogue>(catalogue);
  }
  state->connector->Serve(routers);
  return std::unique_ptr<GatewayService>(new GatewayService(std::move(state)));
}

absl::Status GatewayService::MakeCache(const config::v1::Gateway& config, absl::Duration period,
                                       State& state) {
  PENSTOCK_ASSIGN_OR_RETURN(const CacheOptions options, ReadCacheOptions(config.cache()));
  if (options.max_bytes == 0) return absl::OkStatus();
  const auto seed = static_cast<uint64_t>(absl::ToUnixMicros(state.clock.Now()));
  PENSTOCK_ASSIGN_OR_RETURN(
      state.cache, ResponseCache::Create(options, {*state.forwarder, state.clock, state.timers,
                                                   state.metrics, seed}));
  if (const Store* store = state.cache->store(); store != nullptr) {
    state.store_metrics = std::make_shared<StoreMetrics>(*state.registry, "cache", *store,
                                                         state.clock, state.timers);
  }
  state.cache_policies = std::make_shared<CachePolicyPoll>(
      CachePolicyPoll::Deps{*state.routers, state.cache->policies(), state.clock, state.timers,
                            state.metrics, period});
  state.cache->policies().OnOutdated(
      [poll = std::weak_ptr<CachePolicyPoll>(state.cache_policies)] {
        if (const auto asked = poll.lock(); asked != nullptr) asked->AskSoon();
      });
  return absl::OkStatus();
}

absl::StatusOr<PreparedReload> GatewayService::PrepareReload(const config::v1::Gateway& next,
                                                             const Notification& give_up) {
  State& state = *state_;
  PENSTOCK_RETURN_IF_ERROR(CheckFixedFields(state.config, next));
  PENSTOCK_RETURN_IF_ERROR(Validate(next, state.has_in_process_router));
  PENSTOCK_ASSIGN_OR_RETURN(RouterSet::Routers routers, state.connector->Connect(next));
  const bool answers = AnyHealthy(state.routers->all());
  for (int64_t checks = kPatience / kHealthCheck; answers && !AnyHealthy(routers); --checks) {
    if (give_up.WaitWithTimeout(kHealthCheck)) return absl::CancelledError("the gateway stops");
    if (checks == 0) return absl::UnavailableError("routers: none of them is healthy");
  }
  PreparedReload prepared;
  prepared.changes = ChangedFields(state.config, next);
  prepared.commit = [&state, next, routers = std::move(routers)] {
    state.admission->Change(next.admission());
    state.catalogue->SetTtl(CatalogueTtl(next));
    if (state.cache_policies != nullptr) state.cache_policies->SetPeriod(CatalogueTtl(next));
    state.forwarder->SetRouters(TargetsOf(routers));
    state.routers->Set(routers);
    state.connector->Serve(routers);
    state.config = next;
  };
  return prepared;
}

GatewayService::GatewayService(std::unique_ptr<State> state) : state_(std::move(state)) {}

GatewayService::~GatewayService() { Drain(); }

absl::Status GatewayService::Start() {
  PENSTOCK_RETURN_IF_ERROR(
      state_->server->Start(*state_->infer, *state_->catalogue, {state_->routing.get()},
                            [routing = state_->routing.get()] { routing->EndStreams(); }));
  {
    MutexLock lock(state_->mutex);
    state_->started = true;
    state_->server->SetServing(state_->healthy_routers > 0);
  }
  if (state_->cache_policies != nullptr) state_->cache_policies->Start();
  if (state_->store_metrics != nullptr) state_->store_metrics->Start();
  return absl::OkStatus();
}

bool GatewayService::WaitUntilReady(absl::Duration timeout) const {
  const absl::Time until = state_->clock.Now() + timeout;
  MutexLock lock(state_->mutex);
  while (state_->healthy_routers == 0) {
    const absl::Duration left = until - state_->clock.Now();
    if (left <= absl::ZeroDuration()) return false;
    state_->changed.WaitFor(state_->mutex, left);
  }
  return true;
}

void GatewayService::Drain() {
  state_->catalogue->SetDraining();
  if (state_->cache_policies != nullptr) state_->cache_policies->Stop();
  state_->server->Drain();
  if (state_->store_metrics != nullptr) state_->store_metrics->Stop();
}

const std::string& GatewayService::address() const { return state_->server->address(); }

}  // namespace penstock::gateway
