#include "router_service/dispatch/row_plan.h"

#include <algorithm>
#include <map>

#include "common/status_macros.h"
#include "router_service/combining/row_scatter.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<RowPlan>> RowPlan::Create(const RouteRequest& request,
                                                         RowChoice choice, CounterRandom random) {
  std::unique_ptr<RowPlan> plan(new RowPlan(request, std::move(choice), random));
  for (size_t g = 0; g < plan->choice_.groups.size(); ++g) {
    const RowGroup& group = plan->choice_.groups[g];
    const PoolExpert& expert = request.pool->experts[group.expert];
    const size_t step =
        expert.max_rows > 0 ? static_cast<size_t>(expert.max_rows) : group.rows.size();
    for (size_t first = 0; first < group.rows.size(); first += step) {
      Call call;
      call.group = g;
      call.first = first;
      call.count = std::min(step, group.rows.size() - first);
      PENSTOCK_ASSIGN_OR_RETURN(
          call.request,
          RowExpertRequest(request, expert,
                           absl::MakeConstSpan(group.rows).subspan(first, call.count)));
      plan->calls_.push_back(std::move(call));
    }
  }
  return plan;
}

std::vector<AskSpec> RowPlan::First() {
  std::vector<AskSpec> specs;
  const double left = std::max(0.0, request_.energy_cap_j - choice_.energy_j);
  for (Call& call : calls_) {
    const RowGroup& group = choice_.groups[call.group];
    const PoolExpert& expert = request_.pool->experts[group.expert];
    AskSpec spec;
    spec.expert = group.expert;
    spec.expert_name = expert.name;
    spec.reason = "chosen";
    double weight = 0;
    for (size_t i = 0; i < call.count; ++i) weight += group.weights[call.first + i];
    spec.weight = weight / static_cast<double>(request_.rows);
    spec.request = std::move(call.request);
    spec.rows = call.count;
    spec.application_class = request_.application_class;
    spec.predicted_joules =
        group.energy_j * static_cast<double>(call.count) / static_cast<double>(group.rows.size());
    spec.retry_joules_left = left / static_cast<double>(calls_.size());
    spec.replicas = expert.replicas;
    spec.seed = random_.Bits();
    const int64_t rows = static_cast<int64_t>(call.count);
    spec.check = [this, rows](const Bytes& body) { return CheckAnswer(request_, rows, "", body); };
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::vector<AskSpec> RowPlan::Next(const std::vector<AskResult>&) { return {}; }

bool RowPlan::Reweigh(const std::vector<AskResult>& asks) {
  std::vector<double> sum(static_cast<size_t>(request_.rows), 0);
  for (size_t c = 0; c < calls_.size(); ++c) {
    if (!asks[c].status.ok()) continue;
    const RowGroup& group = choice_.groups[calls_[c].group];
    for (size_t i = calls_[c].first; i < calls_[c].first + calls_[c].count; ++i) {
      sum[static_cast<size_t>(group.rows[i])] += group.weights[i];
    }
  }
  if (std::any_of(sum.begin(), sum.end(), [](double weight) { return !(weight > 0); })) return false;
  for (RowGroup& group : choice_.groups) {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      group.weights[i] =
          static_cast<float>(group.weights[i] / sum[static_cast<size_t>(group.rows[i])]);
    }
  }
  return true;
}

PlanAnswer RowPlan::Answer(DispatchResult& result) {
  PlanAnswer answer;
  if (calls_.empty()) {
    answer.outputs = EmptyOutputs(request_);
    return answer;
  }
  if (result.asks.size() != calls_.size()) {
    answer.status = result.end;
    return answer;
  }
  const auto failed = std::find_if(result.asks.begin(), result.asks.end(),
                                   [](const AskResult& ask) { return !ask.status.ok(); });
  if (failed != result.asks.end()) {
    // The request is at fault, or rows are left without an expert: then there is no whole answer.
    if (absl::IsInvalidArgument(failed->status) || !Reweigh(result.asks)) {
      answer.status = CallerStatus(failed->expert_name, failed->status);
      if (!result.end.ok()) answer.status = result.end;
      answer.trailers = std::move(failed->trailers);
      return answer;
    }
    answer.degraded = result.end.ok() ? "expert_failed" : "deadline";
  }

  std::vector<std::vector<Tensor>> outputs(calls_.size());
  std::vector<RowAnswer> answers;
  std::map<size_t, double> shares;  // by expert
  for (size_t c = 0; c < calls_.size(); ++c) {
    const AskResult& ask = result.asks[c];
    if (!ask.status.ok()) continue;
    auto decoded = DecodeAnswer(ask.body);
    if (!decoded.ok()) {
      answer.status = CallerStatus(ask.expert_name, decoded.status());
      return answer;
    }
    // Experts may have outputs that the pool has not, and each its own.
    outputs[c] = WantedOutputs(request_, *std::move(decoded));
    const Call& call = calls_[c];
    const RowGroup& group = choice_.groups[call.group];
    const auto part = [&](const auto& values) {
      return absl::MakeConstSpan(values).subspan(call.first, call.count);
    };
    answers.push_back({ask.expert_name, &outputs[c], part(group.rows), part(group.weights),
                       part(group.slots)});
    for (const float weight : part(group.weights)) {
      shares[group.expert] += weight / static_cast<double>(request_.rows);
    }
  }
  auto scattered = ScatterRows(request_.pool->config.combiner(), request_.rows, answers);
  answer.status = scattered.status();
  if (scattered.ok()) answer.outputs = *std::move(scattered);
  for (const auto& [expert, share] : shares) {
    answer.answerers.push_back({request_.pool->expert_names[expert], share});
  }
  return answer;
}

void RowPlan::RecordDecision(Reservation& reservation) {
  // Rows are chosen at the price of joules alone: what they take else is paid whatever the price.
  Amounts sunk = RowAmounts(request_, choice_, true);
  sunk.energy_j = 0;
  const PricedOption nothing[] = {{0, choice_.energy_j}};
  if (choice_.trim.curve.empty()) {
    reservation.RecordDecision(sunk, nothing);
  } else {
    reservation.RecordDecision(sunk, choice_.trim.curve);
  }
}

}  // namespace penstock::router
