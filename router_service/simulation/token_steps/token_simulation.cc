#include "router_service/simulation/token_steps/token_simulation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "router_service/cost/cost_model.h"
#include "router_service/selection/selector.h"
#include "router_service/selection/timely_score.h"
#include "router_service/simulation/digest.h"
#include "router_service/simulation/event_queue.h"
#include "router_service/simulation/simulated_clock.h"
#include "router_service/simulation/token_steps/token_server.h"

namespace penstock::router {
namespace {

constexpr uint32_t kNoServer = UINT32_MAX;

// A boundary of a server, or the moment at which a request's promise elapses.
struct TokenEvent {
  uint32_t server = kNoServer;
  uint32_t request = 0;
};

// A request at a server, as the cost model will be told of it.
struct Attempt {
  CostOutcome outcome;
  bool ended = false;
};

// Over the rows that the expert answered: f of its cell.
template <typename F>
double MeanOver(const OutcomeMatrix& outcomes, size_t expert, const F& f) {
  double sum = 0;
  double rows = 0;
  for (size_t row = 0; row < outcomes.rows(); ++row) {
    const OutcomeMatrix::Cell& cell = outcomes.Row(row)[expert];
    if (std::isnan(cell.quality)) continue;
    sum += f(cell);
    ++rows;
  }
  return rows > 0 ? sum / rows : 0;
}

class TokenSimulator {
 public:
  TokenSimulator(absl::Span<const TokenArrival> arrivals, const OutcomeMatrix& outcomes,
                 absl::Span<const TokenProfile> profiles, const TokenStepOptions& options)
      : arrivals_(arrivals),
        outcomes_(outcomes),
        options_(options),
        cost_({.promise = options.promise}, Starts(outcomes, profiles)),
        attempts_(arrivals.size()) {
    for (size_t e = 0; e < profiles.size(); ++e) {
      first_.push_back(servers_.size());
      for (uint32_t s = 0; s < profiles[e].servers; ++s) servers_.emplace_back(profiles[e]);
      mean_tokens_.push_back(MeanOver(
          outcomes, e, [](const OutcomeMatrix::Cell& cell) { return cell.predicted_tokens; }));
    }
    first_.push_back(servers_.size());
    scheduled_.assign(servers_.size(), TokenServer::kNever);
  }

  TokenStepResult Run() {
    result_.runs.resize(arrivals_.size());
    for (size_t i = 0; i < arrivals_.size(); ++i) {
      while (!events_.empty() && events_.top().at_s <= arrivals_[i].at_s) Happen();
      clock_.AdvanceTo(arrivals_[i].at_s);
      Arrive(static_cast<uint32_t>(i));
    }
    while (!events_.empty()) Happen();
    result_.digest = digest_.value();
    return std::move(result_);
  }

 private:
  // What an operator would say of the experts: a mean answer's seconds alone, and slots.
  static std::vector<CostStart> Starts(const OutcomeMatrix& outcomes,
                                       absl::Span<const TokenProfile> profiles) {
    const std::vector<double> seconds = MeanUnloadedSeconds(outcomes, profiles);
    std::vector<CostStart> starts;
    for (size_t e = 0; e < profiles.size(); ++e) {
      CostStart& start = starts.emplace_back();
      start.seconds_per_row = seconds[e];
      start.joules_per_row = outcomes.MeanJoules(e);
      start.slots = profiles[e].batch_limit;
    }
    return starts;
  }

  uint32_t LeastLoaded(size_t expert) const {
    size_t least = first_[expert];
    for (size_t s = least + 1; s < first_[expert + 1]; ++s) {
      if (servers_[s].in_system() < servers_[least].in_system()) least = s;
    }
    return static_cast<uint32_t>(least);
  }

  ReplicaLoad LoadOf(uint32_t server) const {
    return {.in_flight = static_cast<double>(servers_[server].in_system())};
  }

  double Work(const OutcomeMatrix::Cell& cell, size_t expert) const {
    return mean_tokens_[expert] > 0 ? cell.predicted_tokens / mean_tokens_[expert] : 1;
  }

  void Arrive(uint32_t number) {
    ++result_.events;
    const TokenArrival& arrival = arrivals_[number];
    TokenRun& run = result_.runs[number];
    run.arrived_s = arrival.at_s;
    run.deadline_s = arrival.deadline_s;
    run.row = arrival.row;
    const absl::Span<const OutcomeMatrix::Cell> row = outcomes_.Row(arrival.row);
    Choose(row, arrival.deadline_s);
    const size_t expert = selection_.chosen.front().expert;
    const uint32_t server = LeastLoaded(expert);
    run.expert = static_cast<uint32_t>(expert);
    run.promised = selection_.verdict == SelectionVerdict::kChosen;

    CostOutcome& outcome = attempts_[number].outcome;
    outcome.expert = expert;
    outcome.work = Work(row[expert], expert);
    outcome.load = LoadOf(server);
    outcome.predicted = cost_.Estimate(expert, 0, 1, outcome.load, outcome.work);
    run.predicted_s = outcome.predicted.latency_s;
    digest_.Add(run.predicted_s);
    digest_.Add(uint64_t{server} + 1);
    if (run.predicted_s > 0) {
      events_.Push(arrival.at_s + run.predicted_s, {kNoServer, number});
    }
    servers_[server].Arrive(arrival.at_s,
                            {.number = number,
                             .prompt_tokens = row[expert].prompt_tokens,
                             .output_tokens = static_cast<uint64_t>(row[expert].tokens)});
    Schedule(server);
  }

  void Choose(absl::Span<const OutcomeMatrix::Cell> row, double deadline_s) {
    candidates_.resize(row.size());
    for (size_t e = 0; e < row.size(); ++e) {
      const CostEstimate estimate =
          cost_.Estimate(e, 0, 1, LoadOf(LeastLoaded(e)), Work(row[e], e));
      SelectionCandidate& candidate = candidates_[e];
      candidate = {};
      candidate.quality = row[e].predicted_quality;
      candidate.score =
          TimelyScore(candidate.quality, estimate.latency_s, estimate.p99_latency_s, deadline_s);
      candidate.latency_s = estimate.latency_s;
      candidate.idle_latency_s = estimate.idle_latency_s;
      candidate.energy_j = estimate.energy_j;
      if (std::isnan(row[e].quality)) candidate.excluded = Exclusion::kLeftOut;
    }
    SelectionLimits limits;
    limits.value = options_.value;
    limits.price_per_joule = options_.price_per_joule;
    limits.latency_budget_s = limits.time_left_s = deadline_s;
    limits.degrade = true;
    selector_.Select(absl::MakeSpan(candidates_), limits, selection_);
  }

  void Schedule(uint32_t server) {
    const double next = servers_[server].next_s();
    if (next == scheduled_[server]) return;
    scheduled_[server] = next;
    if (next != TokenServer::kNever) events_.Push(next, {server, 0});
  }

  void Happen() {
    const auto event = events_.Pop();
    const uint32_t server = event.what.server;
    if (server == kNoServer) {
      Attempt& attempt = attempts_[event.what.request];
      if (attempt.ended) return;
      clock_.AdvanceTo(event.at_s);
      ++result_.events;
      attempt.outcome.late_counted = cost_.ObserveLate(
          attempt.outcome.expert, 0, attempt.outcome.work, attempt.outcome.predicted.margin);
      return;
    }
    if (event.at_s != scheduled_[server]) return;  // it was put forward
    clock_.AdvanceTo(event.at_s);
    ++result_.events;
    answers_.clear();
    servers_[server].Advance(answers_);
    for (const TokenAnswer& answer : answers_) Finish(answer);
    scheduled_[server] = TokenServer::kNever;
    Schedule(server);
  }

  void Finish(const TokenAnswer& answer) {
    TokenRun& run = result_.runs[answer.number];
    run.started_s = answer.started_s;
    run.finished_s = clock_.seconds();
    run.joules = static_cast<float>(answer.joules);
    digest_.Add(run.finished_s);
    Attempt& attempt = attempts_[answer.number];
    attempt.ended = true;
    attempt.outcome.latency_s = run.latency_s();
    attempt.outcome.energy_j = answer.joules;
    cost_.Observe(attempt.outcome);
  }

  const absl::Span<const TokenArrival> arrivals_;
  const OutcomeMatrix& outcomes_;
  const TokenStepOptions& options_;
  SimulatedClock clock_;
  CostModel cost_;
  Selector selector_;
  SelectionResult selection_;
  std::vector<SelectionCandidate> candidates_;
  std::vector<double> mean_tokens_;  // predicted, by expert
  std::vector<size_t> first_;        // server, by expert; and their number
  std::vector<TokenServer> servers_;
  std::vector<double> scheduled_;  // by server: when its event in the queue is, if it is true
  std::vector<Attempt> attempts_;  // by request
  std::vector<TokenAnswer> answers_;
  EventQueue<TokenEvent> events_;
  TokenStepResult result_;
  Digest digest_;
};

absl::Status Check(absl::Span<const TokenArrival> arrivals, const OutcomeMatrix& outcomes,
                   absl::Span<const TokenProfile> profiles, const TokenStepOptions& options) {
  if (arrivals.empty()) return absl::InvalidArgumentError("there are no arrivals");
  if (arrivals.size() >= kNoServer) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kNoServer - 1, " arrivals"));
  }
  if (outcomes.rows() == 0 || outcomes.experts.empty()) {
    return absl::InvalidArgumentError("the outcome table has no rows or no experts");
  }
  if (outcomes.cells.size() != outcomes.rows() * outcomes.experts.size()) {
    return absl::InternalError("the outcome matrix is not full");
  }
  if (profiles.size() != outcomes.experts.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(profiles.size(), " token profiles for ", outcomes.experts.size(), " experts"));
  }
  for (size_t row = 0; row < outcomes.rows(); ++row) {
    const auto cells = outcomes.Row(row);
    for (const OutcomeMatrix::Cell& cell : cells) {
      if (std::isnan(cell.quality)) continue;
      if (std::isfinite(cell.tokens) && cell.tokens >= 0 && cell.prompt_tokens >= 0 &&
          cell.predicted_tokens >= 0) {
        continue;
      }
      return absl::InvalidArgumentError(
          absl::StrCat("request ", outcomes.ids[row], " has an answer without tokens"));
    }
    if (std::all_of(cells.begin(), cells.end(),
                    [](const OutcomeMatrix::Cell& cell) { return std::isnan(cell.quality); })) {
      return absl::InvalidArgumentError(
          absl::StrCat("no expert answered request ", outcomes.ids[row]));
    }
  }
  if (!(options.promise > 0 && options.promise < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the promise is ", options.promise, ", wanted one in (0, 1)"));
  }
  double before = 0;
  for (const TokenArrival& arrival : arrivals) {
    if (!(arrival.at_s >= before) || !(arrival.deadline_s > 0) || arrival.row >= outcomes.rows()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "an arrival at ", arrival.at_s, " s for row ", arrival.row, " with a deadline of ",
          arrival.deadline_s, " s: wanted ascending times, deadlines above 0, rows below ",
          outcomes.rows()));
    }
    before = arrival.at_s;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenStepResult> SimulateTokenSteps(absl::Span<const TokenArrival> arrivals,
                                                   const OutcomeMatrix& outcomes,
                                                   absl::Span<const TokenProfile> profiles,
                                                   const TokenStepOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(Check(arrivals, outcomes, profiles, options));
  return TokenSimulator(arrivals, outcomes, profiles, options).Run();
}

absl::Status CompleteTokens(OutcomeMatrix& outcomes, absl::Span<const TokenProfile> profiles) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<TokenProfile> ordered,
                            InOrderOf(outcomes.experts, profiles));
  const size_t experts = outcomes.experts.size();
  for (size_t at = 0; at < outcomes.cells.size(); ++at) {
    OutcomeMatrix::Cell& cell = outcomes.cells[at];
    if (std::isnan(cell.quality)) continue;
    if (std::isnan(cell.tokens)) {
      return absl::InvalidArgumentError(
          absl::StrCat("request ", outcomes.ids[at / experts], ": the tokens of ",
                       outcomes.experts[at % experts], " are not told"));
    }
    if (std::isnan(cell.prompt_tokens)) cell.prompt_tokens = 0;
    if (!std::isnan(cell.joules)) continue;
    const TokenProfile& profile = ordered[at % experts];
    const double batch = profile.batch_limit;
    cell.joules = static_cast<float>(cell.tokens * profile.StepJoules(batch) / batch +
                                     cell.prompt_tokens * profile.joules_per_prompt_token);
  }
  for (size_t e = 0; e < experts; ++e) {
    const double tokens =
        MeanOver(outcomes, e, [](const OutcomeMatrix::Cell& cell) { return cell.tokens; });
    const double joules = outcomes.MeanJoules(e);
    for (size_t at = e; at < outcomes.cells.size(); at += experts) {
      OutcomeMatrix::Cell& cell = outcomes.cells[at];
      if (std::isnan(cell.quality) || !std::isnan(cell.predicted_tokens)) continue;
      const bool told = !std::isnan(cell.predicted_joules) && joules > 0;
      cell.predicted_tokens =
          static_cast<float>(told ? tokens * cell.predicted_joules / joules : tokens);
    }
  }
  return absl::OkStatus();
}

std::vector<double> MeanUnloadedSeconds(const OutcomeMatrix& outcomes,
                                        absl::Span<const TokenProfile> profiles) {
  std::vector<double> means;
  for (size_t e = 0; e < profiles.size(); ++e) {
    means.push_back(MeanOver(outcomes, e, [&](const OutcomeMatrix::Cell& cell) {
      return profiles[e].UnloadedSeconds(cell.prompt_tokens, cell.tokens);
    }));
  }
  return means;
}

double PoolCapacity(const OutcomeMatrix& outcomes, absl::Span<const TokenProfile> profiles) {
  double capacity = 0;
  for (size_t e = 0; e < profiles.size(); ++e) {
    const double seconds = MeanOver(outcomes, e, [&](const OutcomeMatrix::Cell& cell) {
      return 1 / profiles[e].Capacity(cell.prompt_tokens, cell.tokens);
    });
    if (seconds > 0) capacity += 1 / seconds;
  }
  return capacity;
}

std::vector<TokenArrival> DrawArrivals(const ArrivalTrace& trace, size_t rows,
                                       const DeadlineDraw& draw, uint64_t seed) {
  std::vector<TokenArrival> arrivals;
  for (size_t i = 0; i < trace.at_s.size(); ++i) {
    CounterRandom random(seed, i);
    TokenArrival& arrival = arrivals.emplace_back();
    arrival.at_s = trace.at_s[i];
    arrival.row = static_cast<uint32_t>(random.Below(rows));
    arrival.deadline_s =
        draw.unit_s * draw.least * std::pow(draw.most / draw.least, random.Uniform());
  }
  return arrivals;
}

}  // namespace penstock::router
