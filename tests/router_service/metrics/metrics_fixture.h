#pragma once

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router_service/router_metrics.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {

// All that a registry tells, as a scrape has it.
inline std::string TextOf(const prometheus::Registry& registry) {
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

// Value of the series "name{labels}", labels by name; unset: it is not told.
inline std::optional<double> ValueOf(const prometheus::Registry& registry,
                                     const std::string& series) {
  const std::string text = "\n" + TextOf(registry);
  const size_t at = text.find("\n" + series + " ");
  if (at == std::string::npos) return std::nullopt;
  return std::stod(text.substr(at + series.size() + 2));
}

// The fixture's router, whose requests are told to RouterMetrics.
class MetricsFixture : public RouterFixture {
 protected:
  void Begin(const std::string& yaml) {
    Build(yaml);
    std::vector<std::string> pools;
    for (const config::v1::Pool& pool : config_.pools()) pools.push_back(pool.name());
    metrics_ = std::make_unique<RouterMetrics>(registry_, labels_, pools, 10);
    pipeline_ = std::make_unique<RequestPipeline>(
        *catalogue_, RouteRooms{clock_, timers_, *pacer_, *log_, *metrics_, config_.seed()},
        make_batch_worker_);
  }
  // Sent now, answered by `address` after `takes`.
  absl::StatusCode AskFor(absl::Duration takes, const std::string& address, InferReply answer,
                          InferRequest request = MakeRequest(),
                          absl::Duration deadline = absl::InfiniteDuration()) {
    const size_t before = Target(address).calls().size();
    auto call = Send(request, deadline);
    timers_.AdvanceAndRun(takes);
    if (Target(address).calls().size() > before) {
      Target(address).calls().back()->Reply(std::move(answer));
    }
    return call->WaitForReply().status.code();
  }
  std::optional<double> Value(const std::string& series) const {
    return ValueOf(registry_, "penstock_router_" + series);
  }
  double Refusals(const std::string& reason, const std::string& pool = "pool") const {
    return Value("refusals_total{pool=\"" + pool + "\",reason=\"" + reason + "\"}").value_or(0);
  }
  std::string Scrape() const { return TextOf(registry_); }

  prometheus::Registry registry_;
  PoolLabels labels_;
  std::unique_ptr<RouterMetrics> metrics_;
};

}  // namespace penstock::router
