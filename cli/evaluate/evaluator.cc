#include "cli/evaluate/evaluator.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/client/metrics_scrape.h"
#include "cli/output/table.h"
#include "common/net/grpc_status.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(30);
// Shuffles averaged: their own scatter is then well below a request's standard error.
constexpr int kShuffles = 20;
constexpr int kNobody = -1;

double Mean(const std::vector<double>& values) {
  return values.empty() ? 0
                        : std::accumulate(values.begin(), values.end(), 0.0) /
                              static_cast<double>(values.size());
}

// Nearest rank; `values` by copy, to be sorted.
double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(q * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

double MillisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

absl::StatusOr<Report> Evaluator::Run() {
  PENSTOCK_RETURN_IF_ERROR(FindExperts());
  PENSTOCK_RETURN_IF_ERROR(SetPoolBudget(0));
  // The first pass warms connections and caches up and is thrown away.
  PENSTOCK_RETURN_IF_ERROR(Send("warming up", {}).status());
  PENSTOCK_RETURN_IF_ERROR(RunExpertsAlone());
  Report report;
  report.requests = data_.rows;
  report.experts = alone_;
  report.baselines = {alone_[smallest_], alone_[largest_]};
  report.baselines[0].name = "smallest";
  report.baselines[1].name = "largest";
  PENSTOCK_ASSIGN_OR_RETURN(const Pass unlimited, Send("no budget", {}));
  PENSTOCK_RETURN_IF_ERROR(RunBudgets(Mean(unlimited.energy_j), report));
  PENSTOCK_RETURN_IF_ERROR(RunCaps(Quantile(unlimited.energy_j, 1), report));
  PENSTOCK_RETURN_IF_ERROR(RunLatencies(Quantile(unlimited.latency_ms, 0.99), report));
  return report;
}

absl::Status Evaluator::FindExperts() {
  grpc::ClientContext context;
  client_.Prepare(context, kTimeout);
  v1::ListExpertsRequest request;
  request.set_pool(options_.pool);
  v1::ListExpertsResponse response;
  PENSTOCK_RETURN_IF_ERROR(
      FromGrpcStatus(client_.routing().ListExperts(&context, request, &response)));
  for (const v1::ExpertStatus& expert : response.experts()) {
    if (expert.admitted()) experts_.push_back(expert.name());
  }
  if (experts_.size() < 2) {
    return absl::FailedPreconditionError(absl::StrCat("pool ", options_.pool, " has ",
                                                      experts_.size(),
                                                      " experts; there is nothing to route"));
  }
  return absl::OkStatus();
}

absl::Status Evaluator::SetPoolBudget(double joules_per_request) {
  grpc::ClientContext context;
  client_.Prepare(context, kTimeout);
  v1::SetBudgetRequest request;
  request.set_pool(options_.pool);
  request.mutable_budget()->set_resource(config::v1::Budget::JOULES);
  request.mutable_budget()->set_per(config::v1::Budget::REQUEST);
  request.mutable_budget()->set_amount(joules_per_request);
  v1::SetBudgetResponse response;
  return FromGrpcStatus(client_.routing().SetBudget(&context, request, &response));
}

absl::StatusOr<double> Evaluator::RoutingCpuSeconds() const {
  if (options_.gateway_metrics.empty()) return 0.0;
  PENSTOCK_ASSIGN_OR_RETURN(const std::string gateway, ScrapeMetrics(options_.gateway_metrics));
  const double process = SumOfMetric(gateway, "process_cpu_seconds_total");
  if (options_.expert_metrics.empty()) return process;
  // One process runs all services: what its workers spent on models is the experts', not the routing's.
  PENSTOCK_ASSIGN_OR_RETURN(const std::string expert, ScrapeMetrics(options_.expert_metrics));
  return process - SumOfMetric(expert, "penstock_expert_compute_cpu_seconds_total");
}

absl::StatusOr<Evaluator::Pass> Evaluator::Send(const std::string& what,
                                                const std::vector<OutParameter>& parameters) {
  Pass pass;
  Progress progress(what, data_.rows);
  InferRequest request;
  request.model_name = options_.pool;
  request.parameters = parameters;
  request.outputs = {{options_.label_output, {}}};
  PENSTOCK_ASSIGN_OR_RETURN(const double cpu_before, RoutingCpuSeconds());
  for (size_t row = 0; row < data_.rows; ++row) {
    const absl::Span<const float> values(data_.inputs.data() + row * data_.dimension,
                                         data_.dimension);
    request.inputs = {
        FloatTensor(options_.input, {1, static_cast<int64_t>(data_.dimension)}, values)};
    const auto start = std::chrono::steady_clock::now();
    const absl::StatusOr<Answer> answer = client_.Infer(request, kTimeout);
    pass.latency_ms.push_back(MillisecondsSince(start));
    progress.Advance(row + 1);
    if (absl::IsDeadlineExceeded(answer.status())) {
      // Nobody answered: wrong, late, and nothing was said of its joules.
      pass.right.push_back(0);
      pass.answered_by.push_back(kNobody);
      continue;
    }
    if (!answer.ok()) {
      return absl::Status(answer.status().code(), absl::StrCat(what, ", request ", row, ": ",
                                                               answer.status().message()));
    }
    const Tensor* label = answer->Output(options_.label_output);
    if (label == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("no output ", options_.label_output));
    }
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> names, ToStrings(*label));
    pass.right.push_back(names.size() == 1 && names[0] == absl::StrCat(data_.labels[row]));
    const std::string experts = answer->Text("penstock_experts");
    const std::string first = experts.substr(0, experts.find(','));
    const auto expert = std::find(experts_.begin(), experts_.end(), first);
    if (expert == experts_.end()) {
      return absl::InternalError(absl::StrCat("answered by an unknown expert: '", experts, "'"));
    }
    pass.answered_by.push_back(static_cast<int>(expert - experts_.begin()));
    pass.energy_j.push_back(answer->Number("penstock_energy_j", NAN));
    pass.energy_method = answer->Text("penstock_energy_method");
  }
  PENSTOCK_ASSIGN_OR_RETURN(const double cpu_after, RoutingCpuSeconds());
  pass.overhead_j_mean =
      (cpu_after - cpu_before) * options_.watts_per_core / static_cast<double>(data_.rows);
  return pass;
}

absl::Status Evaluator::RunExpertsAlone() {
  outcomes_.requests = data_.rows;
  outcomes_.experts = experts_.size();
  outcomes_.right.resize(data_.rows * experts_.size());
  for (size_t expert = 0; expert < experts_.size(); ++expert) {
    PENSTOCK_ASSIGN_OR_RETURN(
        const Pass pass, Send(experts_[expert], {{"penstock_experts", experts_[expert]}}));
    for (size_t row = 0; row < data_.rows; ++row) {
      outcomes_.right[row * experts_.size() + expert] = pass.right[row];
    }
    outcomes_.energy_j.push_back(Mean(pass.energy_j));
    ReportBaseline alone;
    alone.name = alone.expert = experts_[expert];
    alone.accuracy = outcomes_.Accuracy(expert);
    alone.energy_j_mean = outcomes_.energy_j.back();
    alone.p50_ms = Quantile(pass.latency_ms, 0.5);
    alone_.push_back(std::move(alone));
  }
  const auto [least, most] =
      std::minmax_element(outcomes_.energy_j.begin(), outcomes_.energy_j.end());
  smallest_ = static_cast<size_t>(least - outcomes_.energy_j.begin());
  largest_ = static_cast<size_t>(most - outcomes_.energy_j.begin());
  return absl::OkStatus();
}

ReportRow Evaluator::RowOf(const Pass& pass) const {
  ReportRow row;
  const size_t right = static_cast<size_t>(std::count(pass.right.begin(), pass.right.end(), 1));
  row.accuracy = static_cast<double>(right) / static_cast<double>(data_.rows);
  row.standard_error = StandardError(row.accuracy, data_.rows);
  row.energy_j_mean = Mean(pass.energy_j);
  row.overhead_j_mean = pass.overhead_j_mean;
  row.energy_method = pass.energy_method;
  row.p50_ms = Quantile(pass.latency_ms, 0.5);
  row.p99_ms = Quantile(pass.latency_ms, 0.99);
  for (const std::string& name : experts_) row.shares[name] = 0;
  for (const int expert : pass.answered_by) {
    if (expert == kNobody) continue;
    row.shares[experts_[static_cast<size_t>(expert)]] += 1.0 / static_cast<double>(data_.rows);
  }
  const double spent = row.energy_j_mean + row.overhead_j_mean;
  row.hull_accuracy = AccuracyHull(outcomes_.Points()).At(spent);
  row.random_accuracy = RandomAccuracy(outcomes_, spent);
  row.hindsight_accuracy = HindsightAccuracy(outcomes_, spent);
  row.shuffled_accuracy =
      ShuffledAccuracy(outcomes_, pass.answered_by, options_.seed, kShuffles);
  return row;
}

std::vector<double> Evaluator::LogSpaced(int count) const {
  const double low = outcomes_.energy_j[smallest_];
  const double ratio = outcomes_.energy_j[largest_] / low;
  std::vector<double> values;
  for (int i = 1; i <= count; ++i) values.push_back(low * std::pow(ratio, i / (count + 1.0)));
  return values;
}

absl::Status Evaluator::RunBudgets(double unlimited_j, Report& report) {
  for (const double budget : LogSpaced(options_.budgets)) {
    PENSTOCK_RETURN_IF_ERROR(SetPoolBudget(budget));
    PENSTOCK_ASSIGN_OR_RETURN(const Pass pass,
                              Send(absl::StrFormat("budget %.3f mJ", 1000 * budget), {}));
    ReportRow row = RowOf(pass);
    row.energy_budget_j = budget;
    row.binds = unlimited_j > budget;
    report.budgets.push_back(std::move(row));
  }
  return SetPoolBudget(0);
}

absl::Status Evaluator::RunCaps(double unlimited_largest_j, Report& report) {
  for (const double cap : LogSpaced(options_.caps)) {
    PENSTOCK_ASSIGN_OR_RETURN(const Pass pass, Send(absl::StrFormat("cap %.3f mJ", 1000 * cap),
                                                    {{"penstock_energy_budget_j", cap}}));
    ReportRow row = RowOf(pass);
    row.energy_budget_j = cap;
    row.binds = unlimited_largest_j > cap;
    for (const double joules : pass.energy_j) {
      row.over_cap_share += joules > cap ? 1.0 / static_cast<double>(data_.rows) : 0;
    }
    report.caps.push_back(std::move(row));
  }
  return absl::OkStatus();
}

absl::Status Evaluator::RunLatencies(double unlimited_p99_ms, Report& report) {
  double budget_ms = alone_[largest_].p50_ms;
  for (int i = 0; i < options_.latencies; ++i) {
    budget_ms /= 2;
    PENSTOCK_ASSIGN_OR_RETURN(const Pass pass,
                              Send(absl::StrFormat("latency budget %.2f ms", budget_ms),
                                   {{"penstock_latency_budget_ms", budget_ms}}));
    ReportRow row = RowOf(pass);
    row.latency_budget_ms = budget_ms;
    row.binds = unlimited_p99_ms > budget_ms;
    const auto in_time = std::count_if(pass.latency_ms.begin(), pass.latency_ms.end(),
                                       [=](double ms) { return ms <= budget_ms; });
    row.deadline_hit_share = static_cast<double>(in_time) / static_cast<double>(data_.rows);
    report.latency.push_back(std::move(row));
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli
