#include "common/logging/log.h"
#include "common/metrics/metrics_server.h"
#include "common/metrics/service_registry.h"
#include "common/net/service_main.h"
#include "common/reload/reload_service.h"
#include "common/time/clock.h"
#include "expert_service/expert_service.h"
#include "penstock/config/v1/expert.pb.h"

namespace penstock::expert {
namespace {

constexpr char kDefaultMetrics[] = "127.0.0.1:8202";

int Fail(const absl::Status& status) {
  LogError("start_failed").With("reason", status.ToString());
  return 1;
}

int Main(int argc, char** argv) {
  InitProcess("expert");
  SignalWaiter signals;
  config::v1::Expert config;
  ServiceFlags flags;
  if (const auto code = ParseServiceFlags(
          argc, argv, "penstock-expert",
          "Serves a repository of models over the Open Inference Protocol, batches requests by "
          "deadline and meters their joules.",
          config, [&] { return ExpertService::Validate(config); },
          [&] { return ExpertService::CheckFiles(config); }, &flags)) {
    return *code;
  }

  const RealClock clock;
  ExpertService::Options options;
  options.registry = std::make_shared<ServiceRegistry>();
  const auto registry = options.registry;
  const auto service = ExpertService::Create(config, clock, std::move(options));
  if (!service.ok()) return Fail(service.status());
  const auto metrics = MetricsServer::Start(
      config.server().metrics().empty() ? kDefaultMetrics : config.server().metrics(), registry,
      config.server().metrics_tls());
  if (!metrics.ok()) return Fail(metrics.status());

  if (const absl::Status status = (*service)->Start(); !status.ok()) return Fail(status);
  // Before anybody is told: what changes from then on is seen.
  auto reloader = ReloadService(flags, config, **service, clock, {registry});
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
}  // namespace penstock::expert

int main(int argc, char** argv) { return penstock::expert::Main(argc, argv); }
