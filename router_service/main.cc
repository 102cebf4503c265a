#include <prometheus/registry.h>

#include "common/logging/log.h"
#include "common/metrics/metrics_server.h"
#include "common/net/service_main.h"
#include "common/reload/reload_service.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/router_service.h"

namespace penstock::router {
namespace {

constexpr char kDefaultMetrics[] = "127.0.0.1:8102";

int Fail(const absl::Status& status) {
  LogError("start_failed").With("reason", status.ToString());
  return 1;
}

int Main(int argc, char** argv) {
  InitProcess("router");
  SignalWaiter signals;
  config::v1::Router config;
  ServiceFlags flags;
  if (const auto code = ParseServiceFlags(
          argc, argv, "penstock-router",
          "Routes inference requests to the experts that answer them best within a latency budget "
          "and an energy budget.",
          config, [&] { return RouterService::Validate(config); },
          [&] { return RouterService::CheckFiles(config); }, &flags)) {
    return *code;
  }

  const RealClock clock;
  RouterService::Options options;
  options.registry = std::make_shared<prometheus::Registry>();
  const auto registry = options.registry;
  const auto service = RouterService::Create(config, clock, std::move(options));
  if (!service.ok()) return Fail(service.status());
  const auto metrics = MetricsServer::Start(
      config.server().metrics().empty() ? kDefaultMetrics : config.server().metrics(), registry,
      config.server().metrics_tls());
  if (!metrics.ok()) return Fail(metrics.status());

  if (const absl::Status status = (*service)->Start(); !status.ok()) return Fail(status);
  // Before anybody is told: what changes from then on is seen.
  auto reloader = ReloadService(flags, config, **service, clock, {registry});
  // Calls are accepted from here on; health says yes once the pools have healthy experts.
  if (const absl::Status status = AnnounceReady((*service)->address(), "-", (*metrics)->address(),
                                                config.server().ready_file());
      !status.ok()) {
    return Fail(status);
  }
  signals.Wait([&] { reloader->Request(); });
  reloader.reset();
  (*service)->Drain();
  return 0;
}

}  // namespace
}  // namespace penstock::router

int main(int argc, char** argv) { return penstock::router::Main(argc, argv); }
