#include "router_service/planning/live/pool_planner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "router_service/planning/resident_problem.h"

namespace penstock::router {
namespace {

constexpr uint32_t kLeastSample = PoolPlanner::kLeastRows;
constexpr uint32_t kMostSample = 8192;
constexpr absl::Duration kLongest = absl::Hours(24);

absl::Status Bad(const config::v1::Pool& pool, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat("pool ", pool.name(), ": ", detail));
}

absl::StatusOr<size_t> IndexOf(const config::v1::Pool& pool, absl::string_view field,
                               absl::string_view name) {
  for (int i = 0; i < pool.experts_size(); ++i) {
    if (pool.experts(i).name() == name) return static_cast<size_t>(i);
  }
  return Bad(pool, absl::StrCat(field, " names ", name, ", which is no expert of the pool"));
}

absl::StatusOr<std::vector<size_t>> Indices(
    const config::v1::Pool& pool, absl::string_view field,
    const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<size_t> indices;
  for (const std::string& name : names) {
    PENSTOCK_ASSIGN_OR_RETURN(const size_t index, IndexOf(pool, field, name));
    indices.push_back(index);
  }
  std::sort(indices.begin(), indices.end());
  return indices;
}

absl::StatusOr<std::vector<double>> Figures(
    const config::v1::Pool& pool, absl::string_view field,
    const google::protobuf::Map<std::string, double>& by_name) {
  std::vector<double> figures(static_cast<size_t>(pool.experts_size()));
  for (const auto& [name, figure] : by_name) {
    PENSTOCK_ASSIGN_OR_RETURN(const size_t index, IndexOf(pool, field, name));
    if (!(figure >= 0) || !std::isfinite(figure)) {
      return Bad(pool, absl::StrCat(field, ".", name, " is ", figure, ", wanted at least 0"));
    }
    figures[index] = figure;
  }
  return figures;
}

// `fallback` where the field is not set.
absl::StatusOr<absl::Duration> ReadDuration(const config::v1::Pool& pool, absl::string_view field,
                                            bool set, const google::protobuf::Duration& value,
                                            absl::Duration fallback) {
  if (!set) return fallback;
  const absl::Duration read = absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos());
  if (read <= absl::ZeroDuration() || read > kLongest) {
    return Bad(pool, absl::StrCat(field, " is ", absl::FormatDuration(read),
                                  ", wanted more than 0 and ", "at most a day"));
  }
  return read;
}

absl::StatusOr<double> Limit(const config::v1::Pool& pool, absl::string_view field, bool set,
                             double value) {
  if (!set) return SetLimits::kNone;
  if (!(value > 0)) return Bad(pool, absl::StrCat(field, " is ", value, ", wanted more than 0"));
  return value;
}

// The q-quantile of a column, counted from above: at least q of its values are not larger.
double Quantile(absl::Span<const double> column, double q) {
  std::vector<double> values(column.begin(), column.end());
  const auto rank =
      static_cast<size_t>(std::max(0.0, std::ceil(q * static_cast<double>(values.size())) - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank),
                   values.end());
  return values[rank];
}

double Mean(absl::Span<const double> column) {
  double sum = 0;
  for (const double value : column) sum += value;
  return sum / static_cast<double>(column.size());
}

ExpertCost CostOf(const PlanSample::Rows& sample, size_t expert, double q) {
  const size_t first = expert * sample.rows;
  return {Mean(absl::MakeSpan(sample.energy_j).subspan(first, sample.rows)),
          Quantile(absl::MakeSpan(sample.latency_s).subspan(first, sample.rows), q)};
}

}  // namespace

absl::StatusOr<PoolPlanner::Options> PoolPlanner::ReadOptions(const config::v1::Pool& pool) {
  const config::v1::Planning& planning = pool.planning();
  Options options;
  for (const config::v1::PoolExpert& expert : pool.experts())
    options.experts.push_back(expert.name());
  options.classes.emplace_back();
  bool limited = planning.has_watts();
  for (const auto& [name, item] : std::map<std::string, config::v1::ApplicationClass>(
           pool.classes().begin(), pool.classes().end())) {
    const std::string field = absl::StrCat("classes.", name);
    ClassLimits limits;
    limits.name = name;
    PENSTOCK_ASSIGN_OR_RETURN(limits.energy_j,
                              Limit(pool, absl::StrCat(field, ".plan_energy_j"),
                                    item.has_plan_energy_j(), item.plan_energy_j()));
    PENSTOCK_ASSIGN_OR_RETURN(limits.latency_s,
                              Limit(pool, absl::StrCat(field, ".plan_latency_ms"),
                                    item.has_plan_latency_ms(), item.plan_latency_ms()));
    limits.latency_s /= 1e3;
    PENSTOCK_ASSIGN_OR_RETURN(limits.forbidden,
                              Indices(pool, absl::StrCat(field, ".forbidden"), item.forbidden()));
    if (limits.forbidden.size() == options.experts.size()) {
      return Bad(pool, absl::StrCat(field, ".forbidden names every expert"));
    }
    limited |= std::isfinite(limits.energy_j) || std::isfinite(limits.latency_s) ||
               !limits.forbidden.empty();
    options.classes.push_back(std::move(limits));
  }
  if (!limited) {
    return Bad(pool,
               "planning: wanted planning.watts, or a class with plan_energy_j, plan_latency_ms or "
               "forbidden: there is nothing to plan for");
  }
  if (planning.has_watts()) {
    PENSTOCK_ASSIGN_OR_RETURN(options.watts, Limit(pool, "planning.watts", true, planning.watts()));
  }
  PENSTOCK_ASSIGN_OR_RETURN(options.idle_watts,
                            Figures(pool, "planning.idle_watts", planning.idle_watts()));
  PENSTOCK_ASSIGN_OR_RETURN(options.wake_joules,
                            Figures(pool, "planning.wake_joules", planning.wake_joules()));
  PENSTOCK_ASSIGN_OR_RETURN(options.required,
                            Indices(pool, "planning.required", planning.required()));
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::vector<size_t> mandatory,
      Indices(pool, "guards.mandatory_experts", pool.guards().mandatory_experts()));
  options.required.insert(options.required.end(), mandatory.begin(), mandatory.end());
  std::sort(options.required.begin(), options.required.end());
  options.required.erase(std::unique(options.required.begin(), options.required.end()),
                         options.required.end());
  for (const ClassLimits& limits : options.classes) {
    for (const size_t expert : limits.forbidden) {
      if (std::binary_search(options.required.begin(), options.required.end(), expert)) {
        return Bad(pool,
                   absl::StrCat("classes.", limits.name, ".forbidden names ",
                                options.experts[expert], ", which planning.required names too"));
      }
    }
  }
  if (planning.has_sample()) {
    if (planning.sample() < kLeastSample || planning.sample() > kMostSample) {
      return Bad(pool, absl::StrCat("planning.sample is ", planning.sample(), ", wanted [",
                                    kLeastSample, ", ", kMostSample, "]"));
    }
    options.sample = planning.sample();
  }
  PENSTOCK_ASSIGN_OR_RETURN(options.trigger.period,
                            ReadDuration(pool, "planning.period", planning.has_period(),
                                         planning.period(), options.trigger.period));
  PENSTOCK_ASSIGN_OR_RETURN(options.dwell.least_dwell,
                            ReadDuration(pool, "planning.least_dwell", planning.has_least_dwell(),
                                         planning.least_dwell(), options.dwell.least_dwell));
  options.dwell.expected_dwell = std::max(options.dwell.least_dwell, options.trigger.period);
  PENSTOCK_ASSIGN_OR_RETURN(options.search.time,
                            ReadDuration(pool, "planning.search_time", planning.has_search_time(),
                                         planning.search_time(), options.search.time));
  options.k = std::max<size_t>(1, pool.selection().max_experts());
  if (pool.selection().has_latency_quantile()) {
    options.latency_quantile = pool.selection().latency_quantile();
  }
  return options;
}

PoolPlanner::PoolPlanner(Options options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      sample_(options_.experts.size(), options_.sample),
      trigger_(options_.trigger, clock),
      residents_(options_.dwell, clock) {}

void PoolPlanner::Record(size_t application_class, absl::Span<const double> score,
                         absl::Span<const double> energy_j, absl::Span<const double> latency_s) {
  for (const absl::Span<const double> column : {score, energy_j, latency_s}) {
    for (const double figure : column) {
      if (!(figure >= 0) || !std::isfinite(figure)) return;
    }
  }
  sample_.Record(clock_.Now(), application_class, score, energy_j, latency_s);
}

std::shared_ptr<const AdmissionPlan> PoolPlanner::plan() const {
  MutexLock lock(mutex_);
  return plan_;
}

bool PoolPlanner::Required(size_t expert) const {
  return std::binary_search(options_.required.begin(), options_.required.end(), expert);
}

PlanBasis PoolPlanner::BasisOf(const PlanningView& present, const PlanSample::Rows& all) const {
  PlanBasis basis;
  for (size_t i = 0; i < options_.experts.size(); ++i) {
    if (!present.available[i]) continue;
    const ExpertCost cost = CostOf(all, i, options_.latency_quantile);
    basis.experts[options_.experts[i]] = {cost.energy_j, cost.latency_s};
  }
  basis.gate_version = present.rooms_version;
  return basis;
}

std::shared_ptr<const AdmissionPlan> PoolPlanner::Tick(const PlanningView& present) {
  const PlanSample::Rows all = sample_.Read(std::nullopt, clock_.Now());
  if (all.rows < kLeastRows) return nullptr;
  PlanBasis basis = BasisOf(present, all);
  const ReplanReason reason = trigger_.Due(basis);
  if (reason == ReplanReason::kNone) return nullptr;

  const std::shared_ptr<const AdmissionPlan> before = this->plan();
  auto plan = std::make_shared<AdmissionPlan>();
  plan->version = before == nullptr ? 1 : before->version + 1;
  plan->reason = reason;
  plan->made = clock_.Now();
  PlanAwake(present, all, *plan);
  for (size_t c = 0; c < options_.classes.size(); ++c) {
    plan->classes.push_back(PlanOneClass(c, *plan));
  }
  trigger_.Planned(std::move(basis));
  MutexLock lock(mutex_);
  plan_ = plan;
  return plan;
}

void PoolPlanner::PlanAwake(const PlanningView& present, const PlanSample::Rows& all,
                            AdmissionPlan& plan) {
  const size_t experts = options_.experts.size();
  const std::shared_ptr<const AdmissionPlan> before = this->plan();
  plan.awake = before == nullptr ? std::vector<uint8_t>(experts, 1) : before->awake;
  if (!options_.watts) return;

  ResidentRequest request;
  request.experts = experts;
  request.rows = all.rows;
  request.values = all.score;
  request.joules = all.energy_j;
  request.idle_watts = options_.idle_watts;
  request.watts = *options_.watts;
  request.requests_per_s = all.requests_per_s;
  request.k = std::min(options_.k, experts);
  for (size_t i = 0; i < experts; ++i) {
    if (Required(i)) {
      request.required.push_back(i);
    } else if (!present.available[i]) {
      request.forbidden.push_back(i);
    }
  }
  const absl::StatusOr<ResidentPlan> best = PlanResidents(request, options_.search, clock_);
  if (!best.ok()) {
    plan.verdict = absl::StrCat("who is awake stays as it is: ", best.status().message());
    return;
  }
  plan.verdict = DescribeChoice(*best);
  if (best->experts.empty()) {
    // Nobody fits under the limit: an asleep pool answers nothing, so the limit gives way.
    plan.verdict = absl::StrCat("no expert's idle watts fit under ", *options_.watts,
                                " W: who is awake stays as it is");
    return;
  }

  std::vector<uint8_t> awake(experts, 0);
  for (const size_t expert : best->experts) awake[expert] = 1;
  if (awake == plan.awake) return;
  ExpertSet current;
  bool one_lacks = false;  // one of those that should be awake is not available at present
  for (size_t i = 0; i < experts; ++i) {
    if (plan.awake[i] && present.available[i]) current.Add(i);
    if (plan.awake[i] && !present.available[i]) one_lacks = true;
  }
  const ResidentProblem problem(request);
  double standing = 0;
  problem.BestPrice(current, &standing);
  double cost = 0;
  for (size_t i = 0; i < experts; ++i) {
    if (awake[i] && !plan.awake[i]) cost += options_.wake_joules[i] * best->price_per_joule;
  }
  // A set that draws more than the limit, or that lost a member, is left at once.
  const bool over = problem.IdleWatts(current) > *options_.watts || one_lacks;
  const double gain = (best->value - standing) * all.requests_per_s;
  if (!over && !residents_.Pays(gain, cost)) {
    absl::StrAppend(&plan.verdict, "; staying awake: those before, since changing gains ",
                    absl::StrFormat("%.3g", gain), " a second and costs ",
                    absl::StrFormat("%.3g", cost));
    return;
  }
  plan.awake = std::move(awake);
  residents_.Changed();
}

ClassAdmission PoolPlanner::PlanOneClass(size_t application_class, const AdmissionPlan& plan) {
  const ClassLimits& limits = options_.classes[application_class];
  ClassAdmission admission;
  admission.admitted = plan.awake;
  for (const size_t expert : limits.forbidden) admission.admitted[expert] = 0;
  if (!std::isfinite(limits.energy_j) && !std::isfinite(limits.latency_s)) return admission;

  const PlanSample::Rows sample = sample_.Read(application_class, clock_.Now());
  if (sample.rows < kLeastRows) {
    admission.problem =
        absl::StrCat("the class had ", sample.rows, " of the latest requests, wanted ", kLeastRows);
    return admission;
  }
  const size_t experts = options_.experts.size();
  ClassPlanRequest request;
  request.limits.semantics = SetSemantics::kPool;
  request.limits.k = std::min(options_.k, experts);
  request.limits.energy_j = limits.energy_j;
  request.limits.latency_s = limits.latency_s;
  for (size_t i = 0; i < experts; ++i) {
    request.costs.push_back(CostOf(sample, i, options_.latency_quantile));
    if (Required(i)) {
      request.required.push_back(i);
    } else if (!admission.admitted[i]) {
      request.forbidden.push_back(i);
    }
  }
  const absl::StatusOr<ClassPlan> best =
      PlanClass(Coverage(experts, sample.rows, sample.score), request, options_.search, clock_);
  if (!best.ok()) {
    admission.problem = std::string(best.status().message());
    return admission;
  }
  if (best->experts.empty()) {
    admission.problem = "no expert is within the class's limits";
    return admission;
  }
  std::fill(admission.admitted.begin(), admission.admitted.end(), 0);
  for (const size_t expert : best->experts) admission.admitted[expert] = 1;
  admission.planned = true;
  admission.value = best->value;
  admission.gap = best->gap();
  admission.energy_j = best->energy_j;
  admission.latency_s = best->latency_s;
  return admission;
}

}  // namespace penstock::router
