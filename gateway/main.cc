#include <prometheus/registry.h>

#include "common/logging/log.h"
#include "common/metrics/metrics_server.h"
#include "common/net/service_main.h"
#include "common/reload/reload_service.h"
#include "common/time/clock.h"
#include "gateway/gateway_service.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {
namespace {

constexpr char kDefaultPage[] = "127.0.0.1:8000";
constexpr char kDefaultMetrics[] = "127.0.0.1:8002";

int Fail(const absl::Status& status) {
  LogError("start_failed").With("reason", status.ToString());
  return 1;
}

int Main(int argc, char** argv) {
  InitProcess("gateway");
  SignalWaiter signals;
  config::v1::Gateway config;
  ServiceFlags flags;
  if (const auto code = ParseServiceFlags(
          argc, argv, "penstock-gateway",
          "Takes inference requests over the Open Inference Protocol, tells who asks and how much "
          "they may, and forwards them to a router.",
          config, [&] { return GatewayService::Validate(config); }, {}, &flags)) {
    return *code;
  }

  const RealClock clock;
  GatewayService::Options options;
  options.default_page = kDefaultPage;
  options.registry = std::make_shared<prometheus::Registry>();
  const auto registry = options.registry;
  const auto service = GatewayService::Create(config, clock, std::move(options));
  if (!service.ok()) return Fail(service.status());
  const auto metrics = MetricsServer::Start(
      config.server().metrics().empty() ? kDefaultMetrics : config.server().metrics(), registry,
      config.server().metrics_tls());
  if (!metrics.ok()) return Fail(metrics.status());

  if (const absl::Status status = (*service)->Start(); !status.ok()) return Fail(status);
  // Before anybody is told: what changes from then on is seen.
  auto reloader = ReloadService(flags, config, **service, clock, {registry});
  // Calls are accepted from here on; health says yes while a router is healthy.
  if (const absl::Status status = AnnounceReady((*service)->address(), (*service)->page_address(),
                                                (*metrics)->address(), config.server().ready_file());
      !status.ok()) {
    return Fail(status);
  }
  signals.Wait([&] { reloader->Request(); });
  reloader.reset();
  (*service)->Drain();
  return 0;
}

}  // namespace
}  // namespace penstock::gateway

int main(int argc, char** argv) { return penstock::gateway::Main(argc, argv); }
