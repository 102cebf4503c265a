#include "gateway/gateway_service.h"

#include <prometheus/registry.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/mutex.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/oip_server.h"
#include "common/status_macros.h"
#include "common/time/timers.h"
#include "gateway/admission/admission.h"
#include "gateway/forwarding/forwarder.h"
#include "gateway/forwarding/router_set.h"
#include "gateway/gateway_metrics.h"
#include "gateway/identity/authenticator.h"
#include "gateway/oip/catalogue.h"
#include "gateway/oip/infer_forwarding.h"
#include "gateway/oip/routing_proxy.h"

namespace penstock::gateway {
namespace {

constexpr char kInprocessRouter[] = "inprocess:router";

// Prefix of request ids: the process's start, to the microsecond.
std::string InstanceName(const Clock& clock) {
  return absl::StrFormat("%x", absl::ToUnixMicros(clock.Now()));
}

}  // namespace

// Declared in the order in which the parts lean on each other; destroyed the other way round.
struct GatewayService::State {
  State(const Clock& service_clock, std::shared_ptr<prometheus::Registry> to)
      : clock(service_clock), registry(std::move(to)), metrics(*registry), timers(clock) {}

  // A router came or went: the gateway serves while one is healthy. Called on gRPC's threads, for
  // the first time while the parts below are being built.
  void RouterChanged(bool healthy) {
    MutexLock lock(mutex);
    healthy_routers += healthy ? 1 : -1;
    if (catalogue != nullptr) catalogue->SetReady(healthy_routers > 0);
    if (started) server->SetServing(healthy_routers > 0);
    changed.NotifyAll();
  }

  const Clock& clock;
  const std::shared_ptr<prometheus::Registry> registry;
  GatewayMetrics metrics;
  ThreadTimers timers;
  Mutex mutex;
  CondVar changed;
  int healthy_routers ABSL_GUARDED_BY(mutex) = 0;
  bool started ABSL_GUARDED_BY(mutex) = false;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<OipServer> server;
  std::unique_ptr<Forwarder> forwarder;
  std::unique_ptr<InferForwarding> infer;
  std::unique_ptr<Catalogue> catalogue;
  std::unique_ptr<RoutingProxy> routing;
  // Gone first: their health events reach the parts above.
  std::unique_ptr<RouterSet> routers;
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
  PENSTOCK_RETURN_IF_ERROR(Admission::Create(config.admission(), timers).status());
  return Authenticator::Create(config.identity()).status();
}

absl::StatusOr<std::unique_ptr<GatewayService>> GatewayService::Create(
    const config::v1::Gateway& config, const Clock& clock, Options options) {
  PENSTOCK_RETURN_IF_ERROR(Validate(config, options.in_process_router != nullptr));
  auto state = std::make_unique<State>(clock, options.registry);
  PENSTOCK_ASSIGN_OR_RETURN(state->authenticator, Authenticator::Create(config.identity()));
  PENSTOCK_ASSIGN_OR_RETURN(state->admission, Admission::Create(config.admission(), state->timers));
  OipServerOptions server;
  server.service = "gateway";
  server.config = config.server();
  server.default_address = options.default_address;
  server.registry = options.registry;
  PENSTOCK_ASSIGN_OR_RETURN(state->server, OipServer::Create(std::move(server)));

  PENSTOCK_ASSIGN_OR_RETURN(auto targets, ConnectRouters(config, options, *state));
  state->routers = std::make_unique<RouterSet>(std::move(targets));
  state->forwarder = std::make_unique<Forwarder>(state->routers->Targets(), clock, state->timers,
                                                 state->metrics);
  state->infer = std::make_unique<InferForwarding>(
      InferForwarding::Deps{*state->authenticator, *state->admission, *state->forwarder,
                            state->metrics, clock, InstanceName(clock)});
  Catalogue::Deps catalogue{*state->routers, *state->authenticator, clock};
  if (config.has_catalogue_ttl()) {
    catalogue.ttl = absl::Seconds(config.catalogue_ttl().seconds()) +
                    absl::Nanoseconds(config.catalogue_ttl().nanos());
  }
  state->routing = std::make_unique<RoutingProxy>(RoutingProxy::Deps{
      *state->routers, *state->authenticator, clock});
  {
    MutexLock lock(state->mutex);
    state->catalogue = std::make_unique<Catalogue>(catalogue);
    state->catalogue->SetReady(state->healthy_routers > 0);
  }
  return std::unique_ptr<GatewayService>(new GatewayService(std::move(state)));
}

absl::StatusOr<std::vector<std::shared_ptr<GrpcInferTarget>>> GatewayService::ConnectRouters(
    const config::v1::Gateway& config, const Options& options, State& state) {
  const auto target_options = [&] {
    InferTargetOptions target;
    if (config.server().has_max_message_bytes()) {
      target.max_message_bytes = config.server().max_message_bytes();
    }
    target.on_health = [&state](bool healthy) { state.RouterChanged(healthy); };
    return target;
  };
  const auto in_process = [&] {
    return GrpcInferTarget::Over(options.in_process_router, kInprocessRouter,
                                 state.server->queues(), target_options());
  };
  std::vector<std::shared_ptr<GrpcInferTarget>> targets;
  for (const config::v1::Endpoint& router : config.routers()) {
    if (router.address() == kInprocessRouter) {
      targets.push_back(in_process());
      continue;
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        std::shared_ptr<GrpcInferTarget> target,
        GrpcInferTarget::Create(router, state.server->queues(), target_options()));
    targets.push_back(std::move(target));
  }
  if (targets.empty()) targets.push_back(in_process());
  return targets;
}

GatewayService::GatewayService(std::unique_ptr<State> state) : state_(std::move(state)) {}

GatewayService::~GatewayService() { Drain(); }

absl::Status GatewayService::Start() {
  PENSTOCK_RETURN_IF_ERROR(
      state_->server->Start(*state_->infer, *state_->catalogue, {state_->routing.get()},
                            [routing = state_->routing.get()] { routing->EndStreams(); }));
  MutexLock lock(state_->mutex);
  state_->started = true;
  state_->server->SetServing(state_->healthy_routers > 0);
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
  state_->server->Drain();
}

const std::string& GatewayService::address() const { return state_->server->address(); }

}  // namespace penstock::gateway
