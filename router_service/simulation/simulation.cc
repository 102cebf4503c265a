#include "router_service/simulation/simulation.h"

#include <cmath>
#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "router_service/selection/selector.h"
#include "router_service/simulation/digest.h"
#include "router_service/simulation/event_queue.h"
#include "router_service/simulation/simulated_clock.h"

namespace penstock::router {
namespace {

constexpr char kPool[] = "replay";

// A request between its decision and its settlement.
struct RunningRequest {
  Reservation reservation;
  uint32_t request = 0;
  uint32_t expert = 0;
  double joules = 0;
  double seconds = 0;
};

enum class Happening : uint8_t { kMetered, kFinished };
struct RunEvent {
  uint32_t run = 0;
  Happening happening = Happening::kFinished;
};

class Simulator {
 public:
  Simulator(const ArrivalTrace& trace, const OutcomeMatrix& outcomes,
            const SimulationOptions& options)
      : trace_(trace),
        outcomes_(outcomes),
        options_(options),
        pacer_(clock_, ledger_, options.pacer),
        running_(outcomes.experts.size(), 0),
        waiting_(outcomes.experts.size()) {}

  absl::StatusOr<SimulationResult> Run() {
    for (const config::v1::Budget& budget : options_.budgets) {
      PENSTOCK_RETURN_IF_ERROR(pacer_.SetBudget(kPool, budget));
    }
    for (size_t e = 0; e < outcomes_.experts.size(); ++e) {
      mean_joules_.push_back(outcomes_.MeanJoules(e));
    }
    result_.requests.resize(trace_.at_s.size());
    for (size_t i = 0; i < trace_.at_s.size(); ++i) {
      while (!events_.empty() && events_.top().at_s <= trace_.at_s[i]) Happen();
      clock_.AdvanceTo(trace_.at_s[i]);
      Arrive(i);
    }
    while (!events_.empty()) Happen();
    result_.digest = digest_.value();
    return std::move(result_);
  }

 private:
  void Arrive(size_t i) {
    ++result_.events;
    SimulatedRequest& request = result_.requests[i];
    request.arrived_s = request.started_s = request.finished_s = clock_.seconds();
    std::string principal;
    if (options_.callers.empty()) {
      CounterRandom random(options_.seed, i);
      request.row = static_cast<uint32_t>(random.Below(outcomes_.rows()));
    } else {
      request.row = options_.callers[i].row;
      principal = absl::StrCat("principal-", options_.callers[i].principal);
    }
    absl::StatusOr<Reservation> opened = pacer_.Open(kPool, principal);
    if (!opened.ok()) {
      digest_.Add(uint64_t{0});
      return;
    }
    const absl::Span<const OutcomeMatrix::Cell> row = outcomes_.Row(request.row);
    Choose(row, *opened, request);
    if (selection_.chosen.empty()) return;
    const uint32_t expert = static_cast<uint32_t>(selection_.chosen.front().expert);
    if (!opened->Hold(candidates_[expert].energy_j)) {
      digest_.Add(uint64_t{0});
      return;
    }
    opened->RecordDecision(0, priced_);
    request.expert = static_cast<int32_t>(expert);
    request.degraded = selection_.degraded == Degraded::kBudget;
    request.predicted_joules = row[expert].predicted_joules;
    const bool heavier = clock_.seconds() >= options_.joules_factor_from_s;
    request.joules = static_cast<float>(row[expert].joules * (heavier ? options_.joules_factor : 1));
    digest_.Add(request.price_per_joule);
    digest_.Add(uint64_t{expert} + 1);

    const uint32_t run = NewRun();
    runs_[run] = {std::move(*opened), static_cast<uint32_t>(i), expert, request.joules,
                  row[expert].seconds};
    if (HasRoom(expert)) {
      Start(run);
    } else {
      waiting_[expert].push_back(run);
    }
  }

  void Choose(absl::Span<const OutcomeMatrix::Cell> row, const Reservation& reservation,
              SimulatedRequest& request) {
    const BudgetTerms terms = reservation.terms();
    const bool repriced = terms.price_multiplier > 1;
    candidates_.resize(row.size());
    priced_.clear();
    for (size_t e = 0; e < row.size(); ++e) {
      SelectionCandidate& candidate = candidates_[e];
      candidate = {};
      candidate.score = candidate.quality = row[e].predicted_quality;
      // Who is repriced is priced by mean answers, as the router does it.
      candidate.energy_j = repriced ? mean_joules_[e] : row[e].predicted_joules;
      if (std::isnan(row[e].quality)) {
        candidate.excluded = Exclusion::kLeftOut;
      } else {
        priced_.push_back({options_.value * candidate.score, candidate.energy_j});
      }
    }
    SelectionLimits limits;
    limits.value = options_.value;
    limits.price_per_joule = request.price_per_joule = terms.price_per_joule;
    limits.headroom_j = terms.headroom_j;
    limits.largest_j = terms.largest_j;
    limits.largest_of = options_.largest_joules;
    selector_.Select(absl::MakeSpan(candidates_), limits, selection_);
  }

  bool HasRoom(size_t expert) const {
    return expert >= options_.slots.size() || options_.slots[expert] == 0 ||
           running_[expert] < options_.slots[expert];
  }

  uint32_t NewRun() {
    if (free_.empty()) {
      runs_.emplace_back();
      return static_cast<uint32_t>(runs_.size() - 1);
    }
    const uint32_t run = free_.back();
    free_.pop_back();
    return run;
  }

  void Start(uint32_t number) {
    RunningRequest& run = runs_[number];
    ++running_[run.expert];
    result_.requests[run.request].started_s = clock_.seconds();
    ScheduleNext(number);
  }

  // The run's end, or the moment at which its joules reach what it holds.
  void ScheduleNext(uint32_t number) {
    const RunningRequest& run = runs_[number];
    const double started = result_.requests[run.request].started_s;
    const double held = run.reservation.held_j();
    if (options_.metered && held > 0 && run.joules > held) {
      events_.Push(started + run.seconds * (held / run.joules), {number, Happening::kMetered});
    } else {
      events_.Push(started + run.seconds, {number, Happening::kFinished});
    }
  }

  void Happen() {
    const auto event = events_.Pop();
    clock_.AdvanceTo(event.at_s);
    ++result_.events;
    RunningRequest& run = runs_[event.what.run];
    switch (event.what.happening) {
      case Happening::kMetered:
        // A little over what is held: the reservation grows by its step.
        run.reservation.Metered(std::nextafter(run.reservation.held_j(), HUGE_VAL));
        ScheduleNext(event.what.run);
        return;
      case Happening::kFinished:
        Finish(event.what.run);
        return;
    }
  }

  void Finish(uint32_t number) {
    RunningRequest& run = runs_[number];
    const uint32_t expert = run.expert;
    SimulatedRequest& request = result_.requests[run.request];
    request.finished_s = clock_.seconds();
    run.reservation.Settle({.energy_j = run.joules, .accelerator_seconds = run.seconds});
    digest_.Add(request.finished_s);
    free_.push_back(number);
    --running_[expert];
    if (!waiting_[expert].empty()) {
      const uint32_t next = waiting_[expert].front();
      waiting_[expert].pop_front();
      Start(next);
    }
  }

  const ArrivalTrace& trace_;
  const OutcomeMatrix& outcomes_;
  const SimulationOptions& options_;
  SimulatedClock clock_;
  MemoryWindowLedger ledger_;
  BudgetPacer pacer_;
  Selector selector_;
  SelectionResult selection_;
  std::vector<SelectionCandidate> candidates_;
  std::vector<PricedOption> priced_;
  std::vector<double> mean_joules_;  // by expert
  EventQueue<RunEvent> events_;
  std::vector<RunningRequest> runs_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> running_;                // by expert
  std::vector<std::deque<uint32_t>> waiting_;    // by expert
  SimulationResult result_;
  Digest digest_;
};

absl::Status Check(const ArrivalTrace& trace, const OutcomeMatrix& outcomes,
                   const SimulationOptions& options) {
  if (trace.at_s.empty()) return absl::InvalidArgumentError("the trace has no arrivals");
  if (outcomes.rows() == 0 || outcomes.experts.empty()) {
    return absl::InvalidArgumentError("the outcome table has no rows or no experts");
  }
  if (outcomes.cells.size() != outcomes.rows() * outcomes.experts.size()) {
    return absl::InternalError("the outcome matrix is not full");
  }
  if (!options.callers.empty() && options.callers.size() != trace.at_s.size()) {
    return absl::InvalidArgumentError(absl::StrCat(options.callers.size(), " callers for ",
                                                   trace.at_s.size(), " arrivals"));
  }
  for (const SimulatedCaller& caller : options.callers) {
    if (caller.row < outcomes.rows()) continue;
    return absl::InvalidArgumentError(absl::StrCat("a caller asks for row ", caller.row,
                                                   " of a table of ", outcomes.rows()));
  }
  if (!options.largest_joules.empty() &&
      options.largest_joules.size() != outcomes.experts.size()) {
    return absl::InvalidArgumentError(absl::StrCat(options.largest_joules.size(),
                                                   " largest_joules for ",
                                                   outcomes.experts.size(), " experts"));
  }
  for (const double largest : options.largest_joules) {
    if (std::isfinite(largest) && largest >= 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("largest_joules has ", largest, ", wanted finite joules of at least 0"));
  }
  if (!options.slots.empty() && options.slots.size() != outcomes.experts.size()) {
    return absl::InvalidArgumentError(absl::StrCat(options.slots.size(), " slots for ",
                                                   outcomes.experts.size(), " experts"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SimulationResult> Simulate(const ArrivalTrace& trace, const OutcomeMatrix& outcomes,
                                          const SimulationOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(Check(trace, outcomes, options));
  return Simulator(trace, outcomes, options).Run();
}

}  // namespace penstock::router
