#include "router_service/cost/cost_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::router {
namespace {

using Vector = NonnegativeLeastSquares::Vector;

// Below this many observations an expert's margin leans on the pool's.
constexpr uint64_t kOwnMargin = 30;
constexpr double kP99 = 0.99;
constexpr size_t kLevels = 2;                                      // the promise, and 0.99
constexpr std::array<bool, 3> kLatencyTerms = {true, true, true};  // request, row, request ahead
constexpr std::array<bool, 3> kEnergyTerms = {true, true, false};  // request, row

Vector LatencyStart(const CostStart& start) {
  // A request ahead takes as long as one row's, until the replica's batching is learnt.
  return {start.seconds_per_request, start.seconds_per_row,
          start.seconds_per_request + start.seconds_per_row};
}

Vector EnergyStart(const CostStart& start) {
  return {start.joules_per_request, start.joules_per_row, 0};
}

// The coefficients as readers see them: a sequence lock whose data are atomics themselves. One
// writer at a time.
class PublishedCoefficients {
 public:
  static constexpr size_t kSize = 5;

  void Publish(const std::array<double, kSize>& values) {
    const uint64_t version = version_.load(std::memory_order_relaxed);
    version_.store(version + 1, std::memory_order_relaxed);
    for (size_t i = 0; i < kSize; ++i) values_[i].store(values[i], std::memory_order_release);
    version_.store(version + 2, std::memory_order_release);
  }

  std::array<double, kSize> Read() const {
    std::array<double, kSize> values;
    for (;;) {
      const uint64_t before = version_.load(std::memory_order_acquire);
      for (size_t i = 0; i < kSize; ++i) values[i] = values_[i].load(std::memory_order_acquire);
      if (before % 2 == 0 && version_.load(std::memory_order_relaxed) == before) return values;
    }
  }

 private:
  std::atomic<uint64_t> version_{0};
  std::array<std::atomic<double>, kSize> values_{};
};

// A margin, and what readers see of it.
struct Margin {
  explicit Margin(double promise) : state(promise) {}
  LatencyMargin state;
  std::atomic<double> theta{0};
  std::atomic<uint64_t> observations{0};

  void Observe(bool miss) {
    state.Observe(miss);
    theta.store(state.theta(), std::memory_order_relaxed);
    observations.store(state.observations(), std::memory_order_relaxed);
  }
};

}  // namespace

struct CostModel::Margins {
  explicit Margins(double promise) : levels{Margin(promise), Margin(kP99)} {}
  std::array<Margin, kLevels> levels;
  Mutex mutex;  // of writers
};

struct CostModel::Expert {
  Expert(const CostStart& start, size_t classes, double promise)
      : latency(LatencyStart(start), kLatencyTerms), energy(EnergyStart(start), kEnergyTerms) {
    for (size_t c = 0; c < classes; ++c) margins.push_back(std::make_unique<Margins>(promise));
    Publish();
  }
  void Publish() {
    const Vector& l = latency.coefficients();
    const Vector& e = energy.coefficients();
    published.Publish({l[0], l[1], l[2], e[0], e[1]});
  }

  Mutex mutex;  // of writers
  NonnegativeLeastSquares latency;
  NonnegativeLeastSquares energy;
  PublishedCoefficients published;
  std::vector<std::unique_ptr<Margins>> margins;  // by class
};

CostModel::CostModel(Options options, std::vector<CostStart> starts)
    : options_(options), starts_(starts.size()), pool_(std::make_unique<Margins>(options.promise)) {
  for (const CostStart& start : starts) {
    experts_.push_back(
        std::make_unique<Expert>(start, std::max<size_t>(options.classes, 1), options.promise));
  }
}

CostModel::~CostModel() = default;

double CostModel::Theta(const Expert& expert, size_t application_class, size_t level) const {
  const Margin& own = expert.margins[application_class]->levels[level];
  const double theta = own.theta.load(std::memory_order_relaxed);
  if (own.observations.load(std::memory_order_relaxed) >= kOwnMargin) return theta;
  return std::max(theta, pool_->levels[level].theta.load(std::memory_order_relaxed));
}

CostEstimate CostModel::Estimate(size_t expert, size_t application_class, uint64_t rows,
                                 const ReplicaLoad& load, double work) const {
  const Expert& e = *experts_[expert];
  const auto c = e.published.Read();
  const double n = static_cast<double>(rows) * work;
  const double idle = c[0] + c[1] * n;
  const double expected = idle + c[2] * (load.queue_depth + load.in_flight);
  const double promised = Theta(e, application_class, 0);
  const double margin = std::exp(promised);
  CostEstimate estimate;
  estimate.expected_latency_s = expected;
  estimate.latency_s = expected * margin;
  estimate.idle_latency_s = idle * margin;
  estimate.p99_latency_s = expected * std::exp(std::max(promised, Theta(e, application_class, 1)));
  estimate.energy_j = c[3] + c[4] * n;
  return estimate;
}

void CostModel::SetStart(size_t expert, const CostStart& start) {
  Expert& e = *experts_[expert];
  MutexLock lock(e.mutex);
  e.latency.Restart(LatencyStart(start));
  e.energy.Restart(EnergyStart(start));
  e.Publish();
}

void CostModel::Observe(const CostOutcome& outcome) {
  if (!options_.learning) return;
  Expert& e = *experts_[outcome.expert];
  const Vector x = {1, static_cast<double>(outcome.rows) * outcome.work,
                    outcome.load.queue_depth + outcome.load.in_flight};
  {
    MutexLock lock(e.mutex);
    if (outcome.latency_s.has_value()) e.latency.Observe(x, *outcome.latency_s);
    if (outcome.energy_j.has_value()) e.energy.Observe({x[0], x[1], 0}, *outcome.energy_j);
    e.Publish();
  }
  // A prediction of 0 was no prediction: nothing was known.
  if (!outcome.latency_s.has_value() || !(outcome.predicted.latency_s > 0)) return;
  if (!outcome.late_counted) {
    CountMiss(e, outcome.application_class, 0, *outcome.latency_s > outcome.predicted.latency_s);
  }
  CountMiss(e, outcome.application_class, 1, *outcome.latency_s > outcome.predicted.p99_latency_s);
}

void CostModel::ObserveLate(size_t expert, size_t application_class) {
  if (!options_.learning) return;
  CountMiss(*experts_[expert], application_class, 0, true);
}

void CostModel::CountMiss(Expert& expert, size_t application_class, size_t level, bool miss) {
  Margins& own = *expert.margins[application_class];
  {
    MutexLock lock(own.mutex);
    own.levels[level].Observe(miss);
  }
  MutexLock lock(pool_->mutex);
  pool_->levels[level].Observe(miss);
}

}  // namespace penstock::router
