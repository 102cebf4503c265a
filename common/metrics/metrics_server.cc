#include "common/metrics/metrics_server.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

#include "common/http/http_server.h"
#include "common/metrics/process_metrics.h"
#include "common/status_macros.h"

namespace penstock {

struct MetricsServer::State {
  HttpResponse Answer(const HttpRequest& request) const {
    HttpResponse response;
    if (request.path != "/metrics") {
      response.status = 404;
      response.body = "wanted /metrics\n";
      return response;
    }
    std::vector<prometheus::MetricFamily> families = registry->Collect();
    for (prometheus::MetricFamily& family : process.Collect())
      families.push_back(std::move(family));
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = prometheus::TextSerializer().Serialize(families);
    return response;
  }

  std::string address = "-";
  std::shared_ptr<prometheus::Registry> registry;
  const ProcessMetrics process{};
  std::unique_ptr<HttpServer> server;  // null: off
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() = default;

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& address, std::shared_ptr<prometheus::Registry> registry,
    const config::v1::Tls& tls) {
  auto state = std::make_unique<State>();
  if (address == "off") return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
  state->registry = std::move(registry);
  HttpServerOptions options;
  options.address_field = "server.metrics";
  options.tls_field = "server.metrics_tls";
  options.address = address;
  options.tls = tls;
  PENSTOCK_ASSIGN_OR_RETURN(
      state->server,
      HttpServer::Start(std::move(options), [answering = state.get()](const HttpRequest& request,
                                                                      const HttpResponder& to) {
        to.Send(answering->Answer(request));
      }));
  state->address = state->server->address();
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

const std::string& MetricsServer::address() const { return state_->address; }

}  // namespace penstock
