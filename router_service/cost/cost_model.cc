#include "router_service/cost/cost_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace penstock::router {
namespace {

using Vector = NonnegativeLeastSquares::Vector;

// Below this many observations a margin leans on the expert's of whatever work, and on the pool's.
constexpr uint64_t kOwnMargin = 30;
// After so many observations of the others an expert's margins give way to the pool's, until it is
// observed again.
constexpr double kFresh = 5000;
// An answer is judged by the margin that it was promised with, unless that has moved further since.
constexpr double kMoved = 0.3;
constexpr double kP99 = 0.99;
constexpr size_t kLevels = 2;                                      // the promise, and 0.99
constexpr std::array<bool, 3> kLatencyTerms = {true, true, true};  // request, row, request ahead
constexpr std::array<bool, 3> kEnergyTerms = {true, true, false};  // request, row
// Of requests at a replica: 1, 2-3, 4-7, ..., and all its slots taken.
constexpr size_t kLevelsOfLoad = 8;
constexpr size_t kFull = kLevelsOfLoad - 1;
// Margins are learnt apart for answers that are expected to be shorter and longer than the mean:
// how far an expectation is off differs between them.
constexpr std::array<double, 3> kWorkLevels = {0.7, 1, 1.4};
constexpr size_t kAnyWork = kWorkLevels.size() + 1;  // the margin of whatever work
constexpr size_t kMarginsOfWork = kAnyWork + 1;

size_t LevelOfWork(double work) {
  size_t level = 0;
  while (level < kWorkLevels.size() && work >= kWorkLevels[level]) ++level;
  return level;
}

Vector LatencyStart(const CostStart& start, double slots) {
  // A slot is free after as long as one row's request takes, until the replica's batching is
  // learnt.
  return {start.seconds_per_request, start.seconds_per_row,
          (start.seconds_per_request + start.seconds_per_row) / slots};
}

Vector EnergyStart(const CostStart& start) {
  return {start.joules_per_request, start.joules_per_row, 0};
}

// Where a request finds the replica, itself included.
size_t LevelOfLoad(const ReplicaLoad& load, double slots) {
  const double at_once = load.in_flight + 1;
  if (at_once >= slots || load.queue_depth > 0) return kFull;
  return std::min<size_t>(std::bit_width(static_cast<uint64_t>(at_once)) - 1, kFull - 1);
}

// Requests that must end before this one gets a slot.
double WaitedFor(const ReplicaLoad& load, double slots) {
  return load.queue_depth + std::max(0.0, load.in_flight + 1 - slots);
}

// The coefficients as readers see them: a sequence lock whose data are atomics themselves. One
// writer at a time.
class PublishedCoefficients {
 public:
  void Publish(const Vector& values) {
    const uint64_t version = version_.load(std::memory_order_relaxed);
    version_.store(version + 1, std::memory_order_relaxed);
    for (size_t i = 0; i < values.size(); ++i) {
      values_[i].store(values[i], std::memory_order_release);
    }
    version_.store(version + 2, std::memory_order_release);
  }

  Vector Read() const {
    Vector values;
    for (;;) {
      const uint64_t before = version_.load(std::memory_order_acquire);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = values_[i].load(std::memory_order_acquire);
      }
      if (before % 2 == 0 && version_.load(std::memory_order_relaxed) == before) return values;
    }
  }

 private:
  std::atomic<uint64_t> version_{0};
  std::array<std::atomic<double>, NonnegativeLeastSquares::kTerms> values_{};
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

// By level of work.
struct CostModel::MarginsByWork {
  explicit MarginsByWork(double promise) {
    for (auto& level : work) level = std::make_unique<Margins>(promise);
  }
  std::array<std::unique_ptr<Margins>, kMarginsOfWork> work;
};

struct CostModel::Expert {
  // What was learnt at one level of load.
  struct Latency {
    NonnegativeLeastSquares model{{}, kLatencyTerms};
    PublishedCoefficients published;
  };

  Expert(const CostStart& start, size_t classes, double promise)
      : slots(std::max(1.0, start.slots)), energy(EnergyStart(start), kEnergyTerms) {
    for (size_t c = 0; c < classes; ++c) margins.emplace_back(promise);
    SetStart(start);
  }
  void SetStart(const CostStart& start) {
    learnt.store(0, std::memory_order_release);
    Latency& full = latency[kFull];
    full.model.Restart(LatencyStart(start, slots));
    full.published.Publish(full.model.coefficients());
    energy.Restart(EnergyStart(start));
    published_energy.Publish(energy.coefficients());
  }
  // The level whose coefficients count at `level`: the nearest one that has learnt, of two the
  // busier. Nothing has learnt: the full one, which has the start values.
  size_t Counting(size_t level) const {
    const uint32_t levels = learnt.load(std::memory_order_acquire);
    for (size_t away = 0; away < kLevelsOfLoad; ++away) {
      if (level + away <= kFull && (levels >> (level + away) & 1) != 0) return level + away;
      if (away <= level && (levels >> (level - away) & 1) != 0) return level - away;
    }
    return kFull;
  }
  void ObserveLatency(size_t level, const Vector& x, double seconds) {
    Latency& here = latency[level];
    const uint32_t levels = learnt.load(std::memory_order_relaxed);
    if ((levels >> level & 1) == 0 && levels != 0) {
      here.model.Restart(latency[Counting(level)].model.coefficients());
    } else if (levels == 0 && level != kFull) {
      here.model.Restart(latency[kFull].model.coefficients());
    }
    here.model.Observe(x, seconds);
    here.published.Publish(here.model.coefficients());
    learnt.store(levels | 1u << level, std::memory_order_release);
  }

  const double slots;
  std::atomic<uint64_t> observed_at{0};  // of observations_, its last one
  std::atomic<uint32_t> learnt{0};       // a bit a level of load
  Mutex mutex;                           // of writers
  std::array<Latency, kLevelsOfLoad> latency;
  NonnegativeLeastSquares energy;
  PublishedCoefficients published_energy;
  std::vector<MarginsByWork> margins;  // by class
};

CostModel::CostModel(Options options, std::vector<CostStart> starts)
    : options_(options),
      starts_(starts.size()),
      pool_(std::make_shared<MarginsByWork>(options.promise)) {
  for (const CostStart& start : starts) {
    experts_.push_back(
        std::make_shared<Expert>(start, std::max<size_t>(options.classes, 1), options.promise));
  }
}

void CostModel::Continue(const CostModel& before, const std::vector<std::optional<size_t>>& from,
                         bool same_classes) {
  const bool whole = same_classes && options_.promise == before.options_.promise;
  if (whole) {
    pool_ = before.pool_;
    observations_.store(before.observations_.load(std::memory_order_relaxed),
                        std::memory_order_relaxed);
  }
  for (size_t i = 0; i < from.size(); ++i) {
    if (!from[i].has_value()) continue;
    const std::shared_ptr<Expert>& was = before.experts_[*from[i]];
    if (whole) {
      experts_[i] = was;
      continue;
    }
    const Vector alone =
        was->latency[was->Counting(LevelOfLoad({}, was->slots))].published.Read();
    const Vector energy = was->published_energy.Read();
    SetStart(i, {alone[0], alone[1], energy[0], energy[1], was->slots});
  }
}

CostModel::~CostModel() = default;

double CostModel::Freshness(const Expert& expert) const {
  const uint64_t at = expert.observed_at.load(std::memory_order_relaxed);
  const uint64_t now = observations_.load(std::memory_order_relaxed);
  const double age = now > at ? static_cast<double>(now - at) : 0;
  return age <= kFresh ? 1 : std::exp(1 - age / kFresh);
}

void CostModel::Refresh(Expert& expert) {
  const uint64_t now = observations_.fetch_add(1, std::memory_order_relaxed) + 1;
  expert.observed_at.store(now, std::memory_order_relaxed);
}

double CostModel::Theta(const Expert& expert, size_t application_class, size_t work, size_t level,
                        double freshness) const {
  const auto pools = [&](size_t of) {
    return pool_->work[of]->levels[level].theta.load(std::memory_order_relaxed);
  };
  const auto own = [&](size_t of) {
    const Margin& margin = expert.margins[application_class].work[of]->levels[level];
    const double theta = margin.theta.load(std::memory_order_relaxed);
    return freshness == 1 ? theta : freshness * theta + (1 - freshness) * pools(of);
  };
  const Margin& margin = expert.margins[application_class].work[work]->levels[level];
  if (margin.observations.load(std::memory_order_relaxed) >= kOwnMargin) return own(work);
  return std::max({own(work), own(kAnyWork), pools(work)});
}

CostEstimate CostModel::Estimate(size_t expert, size_t application_class, uint64_t rows,
                                 const ReplicaLoad& load, double work) const {
  const Expert& e = *experts_[expert];
  const double n = static_cast<double>(rows) * work;
  const size_t level = e.Counting(LevelOfLoad(load, e.slots));
  const size_t alone_level = e.Counting(LevelOfLoad({}, e.slots));
  const Vector here = e.latency[level].published.Read();
  const Vector alone = level == alone_level ? here : e.latency[alone_level].published.Read();
  const Vector energy = e.published_energy.Read();
  const double expected = here[0] + here[1] * n + here[2] * WaitedFor(load, e.slots);
  const double freshness = Freshness(e);
  const size_t work_level = LevelOfWork(work);
  const double promised = Theta(e, application_class, work_level, 0, freshness);
  const double margin = std::exp(promised);
  CostEstimate estimate;
  estimate.expected_latency_s = expected;
  estimate.latency_s = expected * margin;
  estimate.idle_latency_s = (alone[0] + alone[1] * n) * margin;
  // Whoever promises as much has one estimate of it, and not two that wander apart.
  const double p99 = options_.promise < kP99
                         ? std::max(promised, Theta(e, application_class, work_level, 1, freshness))
                         : promised;
  estimate.p99_latency_s = expected * std::exp(p99);
  estimate.margin = promised;
  estimate.energy_j = energy[0] + energy[1] * n;
  return estimate;
}

void CostModel::SetStart(size_t expert, const CostStart& start) {
  Expert& e = *experts_[expert];
  MutexLock lock(e.mutex);
  e.SetStart(start);
}

void CostModel::Observe(const CostOutcome& outcome) {
  if (!options_.learning) return;
  Expert& e = *experts_[outcome.expert];
  if (outcome.latency_s.has_value() && !outcome.late_counted) Refresh(e);
  const double n = static_cast<double>(outcome.rows) * outcome.work;
  {
    MutexLock lock(e.mutex);
    if (outcome.latency_s.has_value()) {
      e.ObserveLatency(LevelOfLoad(outcome.load, e.slots), {1, n, WaitedFor(outcome.load, e.slots)},
                       *outcome.latency_s);
    }
    if (outcome.energy_j.has_value()) {
      e.energy.Observe({1, n, 0}, *outcome.energy_j);
      e.published_energy.Publish(e.energy.coefficients());
    }
  }
  // A prediction of 0 was no prediction: nothing was known.
  if (!outcome.latency_s.has_value() || !(outcome.predicted.expected_latency_s > 0)) return;
  const double excess = std::log(*outcome.latency_s / outcome.predicted.expected_latency_s);
  const size_t work = LevelOfWork(outcome.work);
  const CostEstimate& predicted = outcome.predicted;
  if (!outcome.late_counted) {
    Learn(e, outcome.application_class, work, 0, excess, predicted.margin);
  }
  Learn(e, outcome.application_class, work, 1, excess,
        std::log(predicted.p99_latency_s / predicted.expected_latency_s));
}

bool CostModel::ObserveLate(size_t expert, size_t application_class, double work, double margin) {
  if (!options_.learning) return false;
  Expert& e = *experts_[expert];
  const size_t work_level = LevelOfWork(work);
  const Margin& own = e.margins[application_class].work[work_level]->levels[0];
  if (own.theta.load(std::memory_order_relaxed) > margin + kMoved) return false;
  Refresh(e);
  Learn(e, application_class, work_level, 0, std::nextafter(margin, HUGE_VAL), margin);
  return true;
}

void CostModel::Learn(Expert& expert, size_t application_class, size_t work, size_t level,
                      double excess, double predicted) {
  for (const MarginsByWork* margins : {&expert.margins[application_class], pool_.get()}) {
    for (const size_t of : {work, kAnyWork}) {
      Margins& learning = *margins->work[of];
      MutexLock lock(learning.mutex);
      Margin& margin = learning.levels[level];
      const double theta = margin.state.theta();
      const bool own = margins != pool_.get();
      margin.Observe(excess > (own && std::abs(theta - predicted) <= kMoved ? predicted : theta));
    }
  }
}

}  // namespace penstock::router
