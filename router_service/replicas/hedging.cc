#include "router_service/replicas/hedging.h"

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {
// What may be saved up while nobody is slow, in second attempts.
constexpr double kMostKept = 10;
}  // namespace

absl::StatusOr<Hedging::Options> Hedging::ReadOptions(const config::v1::Pool& pool) {
  const auto bad = [&](absl::string_view field, double got, absl::string_view wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("pool ", pool.name(), ": hedging.", field, " is ", got, ", wanted ", wanted));
  };
  const config::v1::Hedging& config = pool.hedging();
  Options options;
  if (config.has_quantile()) options.quantile = config.quantile();
  if (config.has_extra_dispatches()) options.extra_dispatches = config.extra_dispatches();
  if (!(options.quantile >= 0.5 && options.quantile <= 0.999)) {
    return bad("quantile", options.quantile, "[0.5, 0.999]");
  }
  if (!(options.extra_dispatches > 0 && options.extra_dispatches <= 1)) {
    return bad("extra_dispatches", options.extra_dispatches, "(0, 1]");
  }
  return options;
}

Hedging::Hedging(size_t experts, Options options) : budget_(options.extra_dispatches, kMostKept) {
  for (size_t i = 0; i < experts; ++i) delays_.emplace_back(options.quantile);
}

absl::Duration Hedging::FirstAttempt(size_t expert) {
  budget_.Earn();
  return delays_[expert].Value();
}

void Hedging::Observe(size_t expert, absl::Duration latency) { delays_[expert].Add(latency); }

}  // namespace penstock::router
