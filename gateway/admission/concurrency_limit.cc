#include "gateway/admission/concurrency_limit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::gateway {
namespace {

constexpr double kUnloadedFactor = 2;  // of the least latency: that much queueing fills every gap
constexpr double kAllowedShare = 0.5;
constexpr double kLargestShare = 0.8;
constexpr double kGentlestFall = 0.95;
constexpr double kSteepestFall = 0.25;
constexpr double kSteepestRise = 1.5;
// Falls without a window in between that kept to its target, before the least latency is doubted.
constexpr uint32_t kUndoneToBelieve = 2;
constexpr double kWrongBy = 2;  // how far off the least latency may be found at once
// A fall smaller than this shows in no window's means.
constexpr double kContrast = 0.9;
// Deadlines of fewer answers say nothing; a window waits for them while it has less than kMost
// answers.
constexpr uint32_t kFewestPromised = 16;
constexpr uint32_t kMost = 500;

}  // namespace

ConcurrencyLimit::ConcurrencyLimit(const Options& options)
    : options_(options),
      limit_(options.most),
      least_seconds_(std::numeric_limits<double>::infinity()) {}

void ConcurrencyLimit::Change(const Options& options) {
  // A limit that nothing had lowered goes on being that.
  const bool free = limit_ >= options_.most;
  options_ = options;
  limit_ = free || !options.adaptive ? options.most
                                     : std::clamp<double>(limit_, options.least, options.most);
  fall_ = Fall();
}

uint32_t ConcurrencyLimit::limit() const { return static_cast<uint32_t>(limit_); }

void ConcurrencyLimit::Ended() {
  if (settling_ > 0) --settling_;
}

bool ConcurrencyLimit::TellsOfThePace(absl::Duration late_after, absl::Duration allowed) const {
  if (std::isfinite(least_seconds_)) return late_after > least_latency();
  return late_after >= kLargestShare * allowed;
}

void ConcurrencyLimit::Count(absl::Duration took, absl::Duration allowed, uint32_t in_flight,
                             absl::Time now, bool late) {
  if (settling_ > 0) {
    --settling_;
    window_.opened = now;
    return;
  }
  // A microsecond has a logarithm, and nothing that was forwarded takes less.
  const double seconds = std::max(1e-6, absl::ToDoubleSeconds(took));
  window_.opened = std::min(window_.opened, now);
  ++window_.answers;
  window_.log_seconds += std::log(seconds);
  window_.in_flight += in_flight;
  if (late) {
    ++window_.late;
    window_.log_late_seconds += std::log(seconds);
  }
  if (allowed != absl::InfiniteDuration()) {
    const double most = kLargestShare * absl::ToDoubleSeconds(allowed);
    const bool known = std::isfinite(least_seconds_);
    ++window_.stated;
    if (!known || most >= least_seconds_) {
      // A microsecond, since a deadline may have been before the arrival.
      const double half = std::max(1e-6, most * kAllowedShare / kLargestShare);
      ++window_.promised;
      window_.log_promised_seconds += std::log(seconds);
      window_.log_target_seconds += std::log(
          known ? std::clamp(kUnloadedFactor * least_seconds_, half, std::max(half, most)) : half);
    }
  }
  if (window_.answers < kFewest || now - window_.opened < kShortest) return;
  if (window_.promised > 0 && window_.promised < kFewestPromised && window_.answers < kMost) return;
  Close(in_flight, now);
}

void ConcurrencyLimit::Close(uint32_t in_flight_now, absl::Time now) {
  Window window = window_;
  const bool bound = bound_;
  window_ = Window();
  window_.opened = now;
  bound_ = false;
  const double seconds = std::exp(window.log_seconds / window.answers);
  const double in_flight = window.in_flight / window.answers;
  const double rate = window.answers / absl::ToDoubleSeconds(now - window.opened);
  const double goodput = rate * (window.answers - window.late) / window.answers;
  const bool undone = bound && Undone(seconds, in_flight, goodput);
  fall_ = Fall();
  if (undone) return;
  // Slow answers of a pool of which nothing else is known may be all that it can do.
  if (!std::isfinite(least_seconds_) && window.late == 0) window.promised = 0;
  double target = std::numeric_limits<double>::infinity();
  double room = target;  // target over latency
  if (window.promised >= kFewestPromised) {
    target = std::exp(window.log_target_seconds / window.promised);
    room = target / std::exp(window.log_promised_seconds / window.promised);
    if (room >= 1) undone_ = 0;
  }
  LearnLeast(window, target);
  if (!options_.adaptive) return;
  if (room < 1) {
    // Answers tell of the queue that they met. The one that is there may be longer by far, and what
    // keeps to the target is target * rate (Little's law).
    const double from = std::min(limit_, std::ceil(in_flight));
    const double to = std::clamp(std::min(from * room, target * rate), from * kSteepestFall,
                                 from * kGentlestFall);
    if (std::max<double>(options_.least, to) >= limit_) return;
    fall_ = {limit_, in_flight, goodput};
    limit_ = std::max<double>(options_.least, to);
    settling_ = in_flight_now;
  } else if (bound && (window.promised >= kFewestPromised || window.stated < kFewestPromised)) {
    limit_ = std::min<double>(options_.most, limit_ * std::min(std::sqrt(room), kSteepestRise) + 1);
  }
}

void ConcurrencyLimit::LearnLeast(const Window& window, double target) {
  const uint32_t in_time = window.answers - window.late;
  if (in_time < kFewestPromised) return;
  const double seconds = std::exp((window.log_seconds - window.log_late_seconds) / in_time);
  // Else the deadlines of a flood that was there first would count as ones that nobody could keep.
  if (!std::isfinite(least_seconds_) && window.late > 0 && seconds > target) return;
  least_seconds_ = std::min(least_seconds_, seconds);
}

bool ConcurrencyLimit::Undone(double seconds, double in_flight, double goodput) {
  if (fall_.limit == 0 || in_flight > kContrast * fall_.in_flight) return false;
  // Where a queue made answers slow, a shorter one makes them quicker and throughput is what it
  // was; where it did not, throughput falls with what is in flight. Halfway between the two, in
  // logarithms, is where they part.
  if (goodput >= fall_.goodput * std::sqrt(in_flight / fall_.in_flight)) return false;
  limit_ = std::min<double>(fall_.limit, options_.most);
  if (++undone_ >= kUndoneToBelieve) {
    least_seconds_ = std::min(seconds, kWrongBy * least_seconds_);
  }
  return true;
}

}  // namespace penstock::gateway
