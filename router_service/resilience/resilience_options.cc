#include "router_service/resilience/resilience_options.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

// Reads fields one after the other and keeps the first thing that is wrong.
class FieldReader {
 public:
  explicit FieldReader(absl::string_view pool) : pool_(pool) {}
  const absl::Status& status() const { return status_; }

  void Time(absl::string_view field, bool set, const google::protobuf::Duration& value,
            absl::Duration least, absl::Duration most, absl::Duration& to) {
    if (!set) return;
    to = absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos());
    if (to < least || to > most) {
      Refuse(field, absl::FormatDuration(to), absl::FormatDuration(least),
             absl::FormatDuration(most));
    }
  }
  void Count(absl::string_view field, bool set, uint32_t value, uint32_t least, uint32_t most,
             uint32_t& to) {
    if (!set) return;
    to = value;
    if (value < least || value > most) {
      Refuse(field, absl::StrCat(value), absl::StrCat(least), absl::StrCat(most));
    }
  }
  // `above`: the lower bound itself is refused.
  void Number(absl::string_view field, bool set, double value, double least, double most,
              double& to, bool above = false) {
    if (!set) return;
    to = value;
    const bool fits = value <= most && (above ? value > least : value >= least);
    if (!fits) Refuse(field, absl::StrCat(value), absl::StrCat(least), absl::StrCat(most), above);
  }

 private:
  void Refuse(absl::string_view field, absl::string_view got, absl::string_view least,
              absl::string_view most, bool above = false) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat("pool ", pool_, ": resilience.", field,
                                                      " is ", got, ", wanted ", above ? "(" : "[",
                                                      least, ", ", most, "]"));
  }

  const std::string pool_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<ResilienceOptions> ReadResilience(const config::v1::Pool& pool) {
  const config::v1::Resilience& config = pool.resilience();
  ResilienceOptions options;
  FieldReader read(pool.name());

  read.Time("window", config.has_window(), config.window(), absl::Seconds(1), absl::Minutes(10),
            options.breaker.window);
  read.Count("min_requests", config.has_min_requests(), config.min_requests(), 5, 100'000,
             options.breaker.min_requests);
  options.ejection.window = options.breaker.window;
  options.ejection.min_requests = options.breaker.min_requests;

  const config::v1::CircuitBreaker& breaker = config.breaker();
  options.breaker.off = breaker.off();
  read.Count("breaker.consecutive_failures", breaker.has_consecutive_failures(),
             breaker.consecutive_failures(), 1, 1000, options.breaker.consecutive_failures);
  read.Number("breaker.failure_rate", breaker.has_failure_rate(), breaker.failure_rate(), 0, 1,
              options.breaker.failure_rate, true);
  read.Time("breaker.open_time", breaker.has_open_time(), breaker.open_time(),
            absl::Milliseconds(50), absl::Seconds(60), options.breaker.open_time);
  options.breaker.max_open_time =
      std::max(options.breaker.max_open_time, options.breaker.open_time);
  read.Time("breaker.max_open_time", breaker.has_max_open_time(), breaker.max_open_time(),
            options.breaker.open_time, absl::Minutes(10), options.breaker.max_open_time);
  read.Count("breaker.probes", breaker.has_probes(), breaker.probes(), 1, 100,
             options.breaker.probes);
  read.Time("breaker.probe_interval", breaker.has_probe_interval(), breaker.probe_interval(),
            absl::Milliseconds(10), absl::Seconds(10), options.breaker.probe_interval);
  read.Time("breaker.probe_timeout", breaker.has_probe_timeout(), breaker.probe_timeout(),
            absl::Milliseconds(10), absl::Seconds(10), options.probe_timeout);

  const config::v1::OutlierEjection& ejection = config.ejection();
  options.ejection.off = ejection.off();
  read.Number("ejection.max_share", ejection.has_max_share(), ejection.max_share(), 0, 1,
              options.ejection.max_share);
  read.Number("ejection.success_gap", ejection.has_success_gap(), ejection.success_gap(), 0, 1,
              options.ejection.success_gap, true);
  read.Number("ejection.latency_ratio", ejection.has_latency_ratio(), ejection.latency_ratio(), 1.5,
              1000, options.ejection.latency_ratio);
  read.Time("ejection.ejection_time", ejection.has_ejection_time(), ejection.ejection_time(),
            absl::Milliseconds(100), absl::Minutes(10), options.ejection.ejection_time);
  options.ejection.max_ejection_time =
      std::max(options.ejection.max_ejection_time, options.ejection.ejection_time);
  read.Time("ejection.max_ejection_time", ejection.has_max_ejection_time(),
            ejection.max_ejection_time(), options.ejection.ejection_time, absl::Hours(1),
            options.ejection.max_ejection_time);

  const config::v1::RetryBudget& retries = config.retries();
  read.Number("retries.share", retries.has_share(), retries.share(), 0, 1, options.retries.share);
  read.Number("retries.min_per_second", retries.has_min_per_second(), retries.min_per_second(), 0,
              100'000, options.retries.min_per_second);
  if (!read.status().ok()) return read.status();
  return options;
}

}  // namespace penstock::router
