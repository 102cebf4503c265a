#include "common/metrics/metrics_server.h"

#include <prometheus/exposer.h>
#include <prometheus/registry.h>

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/metrics/process_metrics.h"

namespace penstock {

struct MetricsServer::State {
  std::string address = "-";
  // The exposer keeps weak references.
  std::shared_ptr<prometheus::Registry> registry;
  std::shared_ptr<ProcessMetrics> process;
  std::unique_ptr<prometheus::Exposer> exposer;
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() = default;

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& address, std::shared_ptr<prometheus::Registry> registry) {
  auto state = std::make_unique<State>();
  if (address == "off") return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("server.metrics is \"", address, "\", want HOST:PORT or \"off\""));
  }
  try {
    state->exposer = std::make_unique<prometheus::Exposer>(address, /*num_threads=*/1);
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("server.metrics: cannot listen on ", address, ": ", error.what()));
  }
  const std::vector<int> ports = state->exposer->GetListeningPorts();
  if (ports.empty()) {
    return absl::UnavailableError(absl::StrCat("server.metrics: cannot listen on ", address));
  }
  state->address = absl::StrCat(address.substr(0, colon), ":", ports.front());
  state->registry = std::move(registry);
  state->process = std::make_shared<ProcessMetrics>();
  state->exposer->RegisterCollectable(state->registry);
  state->exposer->RegisterCollectable(state->process);
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

const std::string& MetricsServer::address() const { return state_->address; }

}  // namespace penstock
