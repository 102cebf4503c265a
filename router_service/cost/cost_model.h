#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/mutex.h"
#include "router_service/cost/latency_margin.h"
#include "router_service/cost/nonnegative_least_squares.h"

namespace penstock::router {

// What an expert says of itself (Describe), or configuration says of it. Zero: not known.
struct CostStart {
  double seconds_per_request = 0;
  double seconds_per_row = 0;
  double joules_per_request = 0;
  double joules_per_row = 0;
  double slots = 1;  // requests that a replica serves at once before the next one waits, at least 1
};

// Work before a request at the replica that would take it: reported queue, and this router's own
// requests in flight there since that report.
struct ReplicaLoad {
  double queue_depth = 0;
  double in_flight = 0;
};

struct CostEstimate {
  double latency_s = 0;  // at the promised quantile, queue included
  double expected_latency_s = 0;
  double idle_latency_s = 0;  // at the promised quantile with nothing queued
  // At 0.99, or at the promised quantile where that is more. A retry elsewhere is due after four
  // times this; who is at risk of being late goes by it (TimelyScore).
  double p99_latency_s = 0;
  double margin = 0;    // latency_s = expected_latency_s * exp(margin)
  double energy_j = 0;  // expected
};

// What one attempt took.
struct CostOutcome {
  size_t expert = 0;
  size_t application_class = 0;
  uint64_t rows = 1;
  double work = 1;         // as estimated with
  ReplicaLoad load;        // as it was when the attempt was sent
  CostEstimate predicted;  // as it was then
  // Unset: the attempt was cancelled or lost, and says nothing. Measured by the router.
  std::optional<double> latency_s;
  // Unset: nothing metered (other people's servers). Prediction must not be fed back.
  std::optional<double> energy_j;
  // ObserveLate has counted this attempt's miss already.
  bool late_counted = false;
};

// How long (at a quantile) and how many joules? Latency = per request + per row + a time per
// request ahead for which there is no slot, times exp(margin). The first two are learnt apart for
// 1, 2-3, 4-7, ... requests at a replica and for a full one, since a step of a larger batch takes
// longer: what a full replica teaches says little of an idle one. Joules = per request + per row,
// active joules only. A row counts `work` times: how much longer than the expert's mean answer this
// one is expected to be, where a quality model knows (QualityPrediction::work); what is learnt is
// then the cost of a mean answer, whatever prompts there were. Margins are learnt apart for answers
// expected to be short and long. Learns from outcomes; with learning off it stays at its start
// values, margin 1. The margin of an expert that is not asked gives way to the pool's until it is:
// else who was late once too often would never be asked again. Thread-safe; Estimate takes no lock
// and allocates nothing.
class CostModel {
 public:
  struct Options {
    bool learning = true;
    double promise = 0.95;  // in (0, 1)
    size_t classes = 1;     // application classes: each expert has a margin for each
  };
  CostModel(Options options, std::vector<CostStart> starts);
  ~CostModel();

  // Before the model is used: expert i goes on as `before`'s expert from[i], of the same slots, and
  // learns together with it from here on. Where the promise or the classes (`same_classes`) differ,
  // it starts from the costs learnt there instead, and its margins start again.
  void Continue(const CostModel& before, const std::vector<std::optional<size_t>>& from,
                bool same_classes);

  size_t experts() const { return starts_; }
  bool learns() const { return options_.learning; }
  CostEstimate Estimate(size_t expert, size_t application_class, uint64_t rows,
                        const ReplicaLoad& load, double work = 1) const;

  // An expert's description came, or changed: its model starts again from there, its margins and
  // slots stay.
  void SetStart(size_t expert, const CostStart& start);
  void Observe(const CostOutcome& outcome);
  // The promised quantile of an attempt has passed without an answer: counts the miss while the
  // answer is still out, and the outcome then says late_counted. Unless the expert's margin has
  // moved far above `margin` (the estimate's) since: then the answer may yet be within it, and
  // tells at its end. Else a burst of requests that are late together would move the margin once
  // each, by far too much. -> whether it was counted.
  bool ObserveLate(size_t expert, size_t application_class, double work = 1,
                   double margin = std::numeric_limits<double>::infinity());

 private:
  struct Expert;
  struct Margins;
  struct MarginsByWork;

  // How much the expert's own margins count beside the pool's, in [0, 1].
  double Freshness(const Expert& expert) const;
  void Refresh(Expert& expert);
  double Theta(const Expert& expert, size_t application_class, size_t work, size_t level,
               double freshness) const;
  // `excess`: log of latency over expectation; `predicted`: the margin it was promised with.
  void Learn(Expert& expert, size_t application_class, size_t work, size_t level, double excess,
             double predicted);

  const Options options_;
  const size_t starts_;
  // Fixed once in use; shared with the models that continue this one, as are the pool's margins.
  std::vector<std::shared_ptr<Expert>> experts_;
  std::shared_ptr<MarginsByWork> pool_;
  std::atomic<uint64_t> observations_{0};  // of latency, of all experts
};

}  // namespace penstock::router
