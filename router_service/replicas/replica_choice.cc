#include "router_service/replicas/replica_choice.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "router_service/replicas/hot_cold.h"
#include "router_service/replicas/power_of_two_choices.h"

namespace penstock::router {
namespace {

// Latencies within a factor of two of each other are load and noise.
constexpr double kSlow = 2;

constexpr absl::Duration kLeastAge = absl::Milliseconds(10);
constexpr absl::Duration kMostAge = absl::Seconds(60);

}  // namespace

absl::StatusOr<ReplicaChoice::Options> ReplicaChoice::ReadOptions(const config::v1::Pool& pool) {
  const auto bad = [&](absl::string_view field, const auto& got, absl::string_view wanted) {
    return absl::InvalidArgumentError(absl::StrCat("pool ", pool.name(), ": replica_choice.", field,
                                                   " is ", got, ", wanted ", wanted));
  };
  const config::v1::ReplicaChoice& config = pool.replica_choice();
  Options options;
  options.rule = config.rule();
  if (config.has_hot_quantile()) options.hot_quantile = config.hot_quantile();
  if (config.has_signal_age()) {
    options.signal_age = absl::Seconds(config.signal_age().seconds()) +
                         absl::Nanoseconds(config.signal_age().nanos());
  }
  if (config.has_probe_share()) options.probe_share = config.probe_share();
  if (!(options.hot_quantile > 0 && options.hot_quantile <= 1)) {
    return bad("hot_quantile", options.hot_quantile, "(0, 1]");
  }
  if (options.signal_age < kLeastAge || options.signal_age > kMostAge) {
    return bad("signal_age", absl::FormatDuration(options.signal_age), "[10ms, 60s]");
  }
  if (!(options.probe_share > 0 && options.probe_share <= 0.1)) {
    return bad("probe_share", options.probe_share, "(0, 0.1]");
  }
  return options;
}

ReplicaChoice::ReplicaChoice(size_t experts, Options options) : options_(options) {
  for (size_t i = 0; i < experts; ++i) probes_.emplace_back(options.probe_share, 1);
}

absl::StatusOr<size_t> ReplicaChoice::PickFirst(size_t expert,
                                                absl::Span<const ReplicaView> replicas,
                                                CounterRandom& random) {
  if (options_.rule == config::v1::ReplicaChoice::POWER_OF_TWO_CHOICES) {
    return PickAnother(replicas, {}, random);
  }
  probes_[expert].Earn();
  double best = std::numeric_limits<double>::infinity();
  for (const ReplicaView& replica : replicas) {
    if (replica.healthy && replica.latency_s) best = std::min(best, *replica.latency_s);
  }
  if (best < std::numeric_limits<double>::infinity()) {
    std::optional<size_t> free, doubtful;  // each the one that was heard of the longest ago
    for (size_t i = 0; i < replicas.size(); ++i) {
      const ReplicaView& replica = replicas[i];
      if (!replica.healthy || replica.latency_s || replica.asked) continue;
      const bool doubted = replica.unanswered || replica.last_latency_s.value_or(0) > kSlow * best;
      std::optional<size_t>& longest = doubted ? doubtful : free;
      if (!longest || replica.heard < replicas[*longest].heard) longest = i;
    }
    if (free) return *free;
    if (doubtful && probes_[expert].TryTake()) return *doubtful;
  }
  return PickAnother(replicas, {}, random);
}

absl::StatusOr<size_t> ReplicaChoice::PickAnother(absl::Span<const ReplicaView> replicas,
                                                  absl::Span<const size_t> excluded,
                                                  CounterRandom& random) const {
  if (options_.rule == config::v1::ReplicaChoice::HOT_COLD) {
    size_t known = 0;
    for (size_t i = 0; i < replicas.size(); ++i) {
      known += replicas[i].healthy && replicas[i].latency_s &&
               std::find(excluded.begin(), excluded.end(), i) == excluded.end();
    }
    if (known >= 2) return *PickHotCold(replicas, excluded, options_.hot_quantile);
  }
  return PickOfTwo(replicas, excluded, random);
}

}  // namespace penstock::router
