#include "router_service/pools/pool_succession.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "router_service/resilience/resilience_options.h"

namespace penstock::router {
namespace {

using google::protobuf::util::MessageDifferencer;

CostModel::Options CostOptions(const Pool& pool, bool learning) {
  CostModel::Options options;
  options.learning = learning;
  if (pool.config.selection().has_latency_quantile()) {
    options.promise = pool.config.selection().latency_quantile();
  }
  options.classes = pool.classes.size() + 1;
  return options;
}

std::vector<CostStart> StartsOf(const Pool& pool) {
  std::vector<CostStart> starts;
  for (const config::v1::PoolExpert& expert : pool.config.experts()) {
    starts.push_back(StartOf(expert, nullptr));
  }
  return starts;
}

// What a record holds besides statistics and costs.
absl::Status Furnish(const Pool& pool, bool learning, const Clock& clock, PoolRecord& record) {
  const config::v1::Pool& config = pool.config;
  PENSTOCK_ASSIGN_OR_RETURN(const ReplicaChoice::Options choice,
                            ReplicaChoice::ReadOptions(config));
  record.replica_choice = std::make_unique<ReplicaChoice>(pool.experts.size(), choice);
  if (config.has_hedging()) {
    PENSTOCK_ASSIGN_OR_RETURN(const Hedging::Options hedging, Hedging::ReadOptions(config));
    record.hedging = std::make_unique<Hedging>(pool.experts.size(), hedging);
  }
  PENSTOCK_ASSIGN_OR_RETURN(const ResilienceOptions resilience, ReadResilience(config));
  record.retries = std::make_unique<RetryBudget>(resilience.retries, clock.Now());
  if (learning && config.selection().has_max_utilisation()) {
    record.congestion = std::make_unique<CongestionPrice>(pool.experts.size(),
                                                          config.selection().max_utilisation());
  }
  if (learning && config.has_exploration()) {
    record.explorer = std::make_unique<Explorer>(pool.experts.size(),
                                                 Explorer::ReadOptions(config.exploration()));
  }
  if (config.has_planning()) {
    PENSTOCK_ASSIGN_OR_RETURN(PoolPlanner::Options planning, PoolPlanner::ReadOptions(config));
    record.planner = std::make_unique<PoolPlanner>(std::move(planning), clock);
  }
  return absl::OkStatus();
}

// What remains is what a record depends on; of a field that is not named here, that it does.
config::v1::Pool WithoutWhatRecordsIgnore(const config::v1::Pool& pool, bool files_matter) {
  config::v1::Pool rest = pool;
  for (config::v1::PoolExpert& expert : *rest.mutable_experts()) {
    expert.clear_replicas();
    expert.clear_dollars();
  }
  rest.clear_budgets();
  rest.clear_max_in_flight();
  rest.clear_on_infeasible();
  rest.clear_min_answers();
  if (files_matter) return rest;
  for (config::v1::PoolExpert& expert : *rest.mutable_experts()) expert.clear_quality();
  rest.clear_quality_file();
  rest.clear_cards_file();
  rest.clear_gate();
  rest.clear_features();
  rest.clear_cascade();
  rest.clear_combiner();
  rest.clear_combined_output();
  rest.clear_guards();
  rest.clear_domain_smoothing();
  rest.clear_ranking();
  rest.mutable_selection()->clear_count_file();
  rest.mutable_selection()->clear_score();
  rest.mutable_selection()->clear_value();
  return rest;
}

}  // namespace

absl::StatusOr<std::shared_ptr<PoolRecord>> MakePoolRecord(const Pool& pool, bool learning,
                                                           const Clock& clock) {
  auto record = std::make_shared<PoolRecord>(pool.experts.size(), CostOptions(pool, learning),
                                             StartsOf(pool));
  PENSTOCK_RETURN_IF_ERROR(Furnish(pool, learning, clock, *record));
  return record;
}

std::vector<std::optional<size_t>> ContinuedExperts(const Pool& before, const Pool& next) {
  std::vector<std::optional<size_t>> continued(next.experts.size());
  const auto is_as_it_was = [&](size_t was, size_t is) {
    const config::v1::PoolExpert& a = before.config.experts(static_cast<int>(was));
    const config::v1::PoolExpert& b = next.config.experts(static_cast<int>(is));
    config::v1::PoolExpert old, other;
    *old.mutable_parameters() = a.parameters();
    *other.mutable_parameters() = b.parameters();
    return before.experts[was].model == next.experts[is].model && a.version() == b.version() &&
           a.slots() == b.slots() && MessageDifferencer::Equals(old, other);
  };
  for (size_t i = 0; i < next.experts.size(); ++i) {
    const std::optional<size_t> was = before.FindExpert(next.experts[i].name);
    if (was.has_value() && is_as_it_was(*was, i)) continued[i] = was;
  }
  return continued;
}

void KeepReplicas(const Pool& before, const std::vector<std::optional<size_t>>& continued,
                  Pool& next) {
  for (size_t i = 0; i < next.experts.size(); ++i) {
    if (!continued[i].has_value()) continue;
    const PoolExpert& was = before.experts[*continued[i]];
    PoolExpert& is = next.experts[i];
    std::shared_ptr<ReplicaConnection> stays;
    for (size_t r = 0; r < is.connections.size(); ++r) {
      const auto found =
          std::find(was.connections.begin(), was.connections.end(), is.connections[r]);
      if (found == was.connections.end()) continue;
      const auto at = static_cast<size_t>(found - was.connections.begin());
      is.replicas[r] = was.replicas[at];
      if (!is.contents.empty() && !was.contents.empty()) {
        is.contents[r]->StartFrom(*was.contents[at]);
      }
      if (stays == nullptr || is.connections[r] == was.told_by) stays = is.connections[r];
    }
    if (stays == nullptr) continue;
    is.facts = was.facts;
    is.told_by = std::move(stays);
  }
}

bool KeepsRecord(const config::v1::Pool& before, const config::v1::Pool& next, bool learning,
                 bool same_files) {
  if (!learning) return false;
  // A shadow's figures and an explorer's corrections are of the files that predicted. A plan is of
  // how many experts a request asks.
  const bool files_matter =
      before.has_shadow() || before.has_exploration() || before.has_planning();
  if (files_matter && !same_files) return false;
  return MessageDifferencer::Equals(WithoutWhatRecordsIgnore(before, files_matter),
                                    WithoutWhatRecordsIgnore(next, files_matter));
}

absl::StatusOr<std::shared_ptr<PoolRecord>> SucceedRecord(
    const Pool& before, const std::vector<std::optional<size_t>>& continued, const Pool& next,
    bool learning, const Clock& clock) {
  auto record = std::make_shared<PoolRecord>(next.experts.size(), CostOptions(next, learning),
                                             StartsOf(next));
  record->statistics.Continue(before.record->statistics, continued);
  if (learning)
    record->cost.Continue(before.record->cost, continued, before.classes == next.classes);
  PENSTOCK_RETURN_IF_ERROR(Furnish(next, learning, clock, *record));
  return record;
}

void ContinueCounts(const Pool& before, const Pool& next) {
  if (next.record == before.record) return;
  next.record->statistics.Continue(before.record->statistics, ContinuedExperts(before, next));
}

}  // namespace penstock::router
