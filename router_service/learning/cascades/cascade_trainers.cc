#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "router_service/learning/cascades/cascade_trainer.h"

namespace penstock::router {
namespace {

constexpr CascadeTrainer kTrainers[] = {
    {"automix", "a table of the first answer's confidence; neither sure nor hopeless answers go on",
     false, true, TrainAutomix},
    {"jei", "a gate a stage over how spread its answer is; --tradeoff sets what cost weighs", false,
     true, TrainExitGates},
    {"bypass",
     "the request's features choose between two stages before anything runs; needs --risk", true,
     false, TrainBypass},
};

// Of one row under a policy.
struct Run {
  size_t answers = 0;         // the expert
  std::vector<size_t> asked;  // in order
};

Run RunRow(const CascadeQuality& cascade, const OutcomeTable& table,
           absl::Span<const size_t> stages, size_t row, std::vector<float>& quality) {
  Run run;
  size_t standing = stages.front();
  if (cascade.bypass() != nullptr) {
    const auto z =
        absl::MakeConstSpan(table.features).subspan(row * table.dimension, table.dimension);
    if (!cascade.bypass()->Suffices(FeatureView(z))) standing = cascade.bypass()->last();
  }
  ExitState exits;
  while (true) {
    run.asked.push_back(standing);
    const StagePolicy& policy = *cascade.PolicyOf(standing);
    const absl::Span<const size_t> after = policy.After(standing);
    if (after.empty()) break;
    const AnswerConfidence& confidence = table.confidence[table.At(standing, row)];
    cascade.Predict(standing, absl::MakeConstSpan(&confidence, 1), absl::MakeSpan(quality));
    if (policy.Stands({standing, absl::MakeConstSpan(&confidence, 1), quality}, exits)) break;
    standing = after.front();
  }
  run.answers = standing;
  return run;
}

// Of the last stage after the first, where the share of the rows with the largest gain goes on.
double QualityByPrice(const CascadeQuality& cascade, const OutcomeTable& table, size_t first,
                      size_t last, absl::Span<const size_t> rows, double share) {
  std::vector<float> quality(table.experts.size());
  std::vector<std::pair<double, size_t>> gains;
  for (const size_t row : rows) {
    cascade.Predict(first, absl::MakeConstSpan(&table.confidence[table.At(first, row)], 1),
                    absl::MakeSpan(quality));
    gains.emplace_back(static_cast<double>(quality[last]) - quality[first], row);
  }
  std::stable_sort(gains.begin(), gains.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  const double count = static_cast<double>(rows.size());
  const size_t on = static_cast<size_t>(std::llround(std::clamp(share, 0.0, 1.0) * count));
  double sum = 0;
  for (size_t i = 0; i < gains.size(); ++i) {
    sum += table.quality[table.At(i < on ? last : first, gains[i].second)];
  }
  return sum / count;
}

}  // namespace

absl::Span<const CascadeTrainer> CascadeTrainers() { return kTrainers; }

const CascadeTrainer* FindCascadeTrainer(absl::string_view name) {
  for (const CascadeTrainer& trainer : kTrainers) {
    if (trainer.name == name) return &trainer;
  }
  return nullptr;
}

std::vector<size_t> RowsWithStages(const OutcomeTable& table, absl::Span<const size_t> stages,
                                   bool confidences) {
  std::vector<size_t> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    bool told = true;
    for (const size_t stage : stages) {
      const size_t at = table.At(stage, row);
      told = told && !std::isnan(table.quality[at]) &&
             (!confidences || stage == stages.back() || table.confidence[at].first >= 0);
    }
    if (told) rows.push_back(row);
  }
  return rows;
}

CascadePolicyReport EvaluateStages(const CascadeQuality& cascade, const OutcomeTable& heldout,
                                   absl::Span<const size_t> stages) {
  CascadePolicyReport report;
  for (const size_t stage : stages) report.stages.push_back(heldout.experts[stage]);
  report.answered.assign(stages.size(), 0);
  report.asked.assign(stages.size(), 0);
  const std::vector<size_t> rows =
      RowsWithStages(heldout, stages, cascade.CanStand(stages.front()));
  report.rows = rows.size();
  if (rows.empty()) return report;
  const size_t first = stages.front(), last = stages.back();
  const double count = static_cast<double>(rows.size());
  const auto place = [&](size_t expert) {
    return static_cast<size_t>(std::find(stages.begin(), stages.end(), expert) - stages.begin());
  };
  std::vector<float> quality(heldout.experts.size());
  double squares = 0, served_cost = 0, first_cost = 0, last_cost = 0;  // NaN: not all told
  for (const size_t row : rows) {
    const auto add = [&](size_t expert, QualityAtCost& to, double& cost) {
      to.quality += heldout.quality[heldout.At(expert, row)] / count;
      cost += heldout.cost[heldout.At(expert, row)] / count;
    };
    add(first, report.first, first_cost);
    add(last, report.last, last_cost);
    const Run run = RunRow(cascade, heldout, stages, row, quality);
    const double right = heldout.quality[heldout.At(run.answers, row)];
    report.served.quality += right / count;
    squares += right * right / count;
    report.answered[place(run.answers)] += 1 / count;
    for (const size_t expert : run.asked) {
      served_cost += heldout.cost[heldout.At(expert, row)] / count;
      report.asked[place(expert)] += 1 / count;
    }
  }
  report.standard_error =
      std::sqrt(std::max(0.0, squares - report.served.quality * report.served.quality) / count);
  const auto known = [](double cost) {
    return std::isfinite(cost) ? std::optional<double>(cost) : std::nullopt;
  };
  report.served.mean_cost = known(served_cost);
  report.first.mean_cost = known(first_cost);
  report.last.mean_cost = known(last_cost);
  const double share = (served_cost - first_cost) / last_cost;
  if (!std::isfinite(share)) return report;
  report.by_chance = report.first.quality +
                     std::clamp(share, 0.0, 1.0) * (report.last.quality - report.first.quality);
  if (cascade.CanStand(first)) {
    report.by_price = QualityByPrice(cascade, heldout, first, last, rows, share);
  }
  return report;
}

}  // namespace penstock::router
