#include "gateway/gateway_service.h"

#include <prometheus/registry.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/config_changes.h"
#include "common/logging/log.h"
#include "common/metrics/store_metrics.h"
#include "common/mutex.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/oip_server.h"
#include "common/net/resolve_name.h"
#include "common/net/tracing/service_tracing.h"
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
#include "gateway/oip/platform_page.h"
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

bool HasNames(const config::v1::Gateway& config) {
  return std::any_of(config.routers().begin(), config.routers().end(), [](const auto& router) {
    return EndpointNames::IsName(router.address());
  });
}

absl::Status CheckRouterAddresses(const config::v1::Gateway& config, bool has_in_process_router) {
  size_t names = 0;
  for (int i = 0; i < config.routers_size(); ++i) {
    const std::string& address = config.routers(i).address();
    const std::string field = absl::StrCat("routers[", i, "].address: ");
    if (address.empty()) return absl::InvalidArgumentError(absl::StrCat(field, "is empty"));
    if (const absl::Status status = EndpointNames::Check(address); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("routers[", i, "].", status.message()));
    }
    if (EndpointNames::IsName(address) && ++names > EndpointNames::kMostNames) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, address, " is one name more than the ", EndpointNames::kMostNames,
                       " that a gateway may have"));
    }
    if (absl::StartsWith(address, "inprocess:") &&
        (address != kInprocessRouter || !has_in_process_router)) {
      return absl::InvalidArgumentError(absl::StrCat(
          field, address, " is not in this process; wanted HOST:PORT or unix:PATH"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFixedFields(const config::v1::Gateway& running, const config::v1::Gateway& next) {
  config::v1::Gateway was = running, is = next;
  for (config::v1::Gateway* each : {&was, &is}) {
    each->clear_routers();
    each->clear_admission();
    each->clear_catalogue_ttl();
    each->mutable_server()->clear_log();
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
        std::shared_ptr<prometheus::Registry> to, EndpointNames::Resolve resolve,
        absl::Duration look_up_every)
      : config(running),
        clock(service_clock),
        registry(std::move(to)),
        metrics(*registry),
        timers(clock),
        names(std::move(resolve), look_up_every) {}

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

  // From here on these are asked; requests under way end where they are.
  void Use(RouterSet::Routers next) ABSL_EXCLUSIVE_LOCKS_REQUIRED(routers_mutex) {
    forwarder->SetRouters(TargetsOf(next));
    routers->Set(next);
    connector->Serve(next);
  }

  // After each round of look-ups, on the thread of `names`.
  void FollowNames() {
    MutexLock lock(routers_mutex);
    if (!HasNames(config)) return;
    absl::StatusOr<RouterSet::Routers> next = connector->Connect(config);
    if (!next.ok()) {
      LogWarning("routers_unknown").With("reason", next.status().message());
      return;
    }
    TellUnknownNames();
    if (*next == routers->all()) return;
    LogInfo("routers_changed").With("routers", next->size()).With("were", routers->all().size());
    Use(*std::move(next));
  }

  // Once each: of names that stand for nothing.
  void TellUnknownNames() ABSL_EXCLUSIVE_LOCKS_REQUIRED(routers_mutex) {
    std::map<std::string, std::string> unknown;
    for (const config::v1::Endpoint& router : config.routers()) {
      const std::string& name = router.address();
      if (!EndpointNames::IsName(name) || !names.AddressesOf(name).empty()) continue;
      std::string why = names.WhyNone(name);
      if (told_unknown[name] != why) LogWarning("routers_unknown").With("reason", why);
      unknown[name] = std::move(why);
    }
    told_unknown.swap(unknown);
  }

  Mutex routers_mutex;
  config::v1::Gateway config;  // that serves; changed under routers_mutex by whoever reloads
  std::map<std::string, std::string> told_unknown ABSL_GUARDED_BY(routers_mutex);
  bool has_in_process_router = false;
  std::string default_page;
  const Clock& clock;
  const std::shared_ptr<prometheus::Registry> registry;
  GatewayMetrics metrics;
  std::unique_ptr<ServiceTracing> tracing;  // fixed before `started`
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
  std::unique_ptr<PlatformPage> page;  // null: not started
  // Gone before them: what it tells of routers' health reaches the parts above.
  std::unique_ptr<RouterConnector> connector;
  EndpointNames names;  // its thread uses all of them
};

absl::Status GatewayService::Validate(const config::v1::Gateway& config,
                                      bool has_in_process_router) {
  if (config.routers().empty() && !has_in_process_router) {
    return absl::InvalidArgumentError("routers: wanted at least one, got none");
  }
  PENSTOCK_RETURN_IF_ERROR(CheckRouterAddresses(config, has_in_process_router));
  PENSTOCK_RETURN_IF_ERROR(ServiceTracing::Validate(config.server().tracing()));
  // Builds and drops what has ranges of its own.
  const RealClock clock;
  ThreadTimers timers(clock);
  PENSTOCK_RETURN_IF_ERROR(Admission::Check(config.admission()));
  PENSTOCK_RETURN_IF_ERROR(PageServer::Check(config.page()));
  PENSTOCK_RETURN_IF_ERROR(TenantQuotas::Create(config.identity().quotas(), clock).status());
  PENSTOCK_RETURN_IF_ERROR(CredentialsWatch::Interval(config.identity()).status());
  PENSTOCK_ASSIGN_OR_RETURN(const CacheOptions cache, ReadCacheOptions(config.cache()));
  PENSTOCK_RETURN_IF_ERROR(ResponseCache::CheckStore(cache));
  return Authenticator::Create(config.identity(), clock, nullptr).status();
}

absl::StatusOr<std::unique_ptr<GatewayService>> GatewayService::Create(
    const config::v1::Gateway& config, const Clock& clock, Options options) {
  PENSTOCK_RETURN_IF_ERROR(Validate(config, options.in_process_router != nullptr));
  if (options.resolve == nullptr) options.resolve = ResolveName;
  auto state = std::make_unique<State>(config, clock, options.registry, std::move(options.resolve),
                                       options.look_up_every);
  state->has_in_process_router = options.in_process_router != nullptr;
  state->default_page = options.default_page;
  PENSTOCK_ASSIGN_OR_RETURN(state->tracing,
                            ServiceTracing::Create(config.server().tracing(), "gateway", clock,
                                                   options.registry));
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
      options.in_process_router, state->names,
      [to = state.get()](int healthy) { to->RoutersHealthy(healthy); });
  PENSTOCK_ASSIGN_OR_RETURN(const RouterSet::Routers routers, state->connector->Connect(config));
  state->routers = std::make_unique<RouterSet>(routers);
  state->forwarder = std::make_unique<Forwarder>(std::vector<InferTarget*>(), clock, state->timers,
                                                 state->metrics, state->tracing->tracer());
  state->forwarder->SetRouters(TargetsOf(routers));
  Catalogue::Deps catalogue{*state->routers, *state->authenticator, clock};
  catalogue.ttl = CatalogueTtl(config);
  PENSTOCK_RETURN_IF_ERROR(MakeCache(config, catalogue.ttl, *state));
  state->infer = std::make_unique<InferForwarding>(InferForwarding::Deps{
      *state->authenticator, *state->admission, *state->quotas, *state->forwarder, state->metrics,
      clock, InstanceName(clock), state->cache == nullptr ? nullptr : &state->cache->forwarder(),
      state->tracing->tracer()});
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
    // Names may be known by now.
    if (HasNames(next)) {
      PENSTOCK_ASSIGN_OR_RETURN(routers, state.connector->Connect(next));
    }
  }
  PreparedReload prepared;
  prepared.changes = ChangedFields(state.config, next);
  prepared.commit = [&state, next, routers = std::move(routers)] {
    state.admission->Change(next.admission());
    state.catalogue->SetTtl(CatalogueTtl(next));
    if (state.cache_policies != nullptr) state.cache_policies->SetPeriod(CatalogueTtl(next));
    MutexLock lock(state.routers_mutex);
    state.Use(routers);
    state.config = next;
  };
  return prepared;
}

GatewayService::GatewayService(std::unique_ptr<State> state) : state_(std::move(state)) {}

GatewayService::~GatewayService() {
  Drain();
  state_->names.Stop();
}

absl::Status GatewayService::Start() {
  const auto serving = [state = state_.get()] {
    MutexLock lock(state->mutex);
    return state->started && state->healthy_routers > 0;
  };
  // Before calls are taken: an address that is not to be had stops the start.
  PENSTOCK_ASSIGN_OR_RETURN(
      state_->page, PlatformPage::Start(state_->config.page(), state_->default_page,
                                        {*state_->routers, *state_->authenticator, state_->clock,
                                         state_->timers, serving}));
  PENSTOCK_RETURN_IF_ERROR(
      state_->server->Start(*state_->infer, *state_->catalogue, {state_->routing.get()},
                            [routing = state_->routing.get()] { routing->EndStreams(); }));
  {
    MutexLock lock(state_->mutex);
    state_->started = true;
    state_->server->SetServing(state_->healthy_routers > 0);
  }
  state_->names.Start([state = state_.get()] { state->FollowNames(); });
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
  if (state_->page != nullptr) state_->page->Stop();
  if (state_->cache_policies != nullptr) state_->cache_policies->Stop();
  state_->server->Drain();
  state_->tracing->Finish();
  if (state_->store_metrics != nullptr) state_->store_metrics->Stop();
}

const std::string& GatewayService::address() const { return state_->server->address(); }
const std::string& GatewayService::page_address() const { return state_->page->address(); }

}  // namespace penstock::gateway
