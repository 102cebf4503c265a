#include "router_service/quality/learned/prototype_scorer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/quality/learned/sparse_rows_file.h"

namespace penstock::router {

PrototypeScorer::PrototypeScorer(Parameters parameters) : parameters_(std::move(parameters)) {
  const SparseRows& prototypes = parameters_.prototypes;
  std::vector<std::tuple<uint32_t, uint32_t, float>> entries;
  for (size_t e = 0; e < prototypes.rows(); ++e) {
    cards_ += !prototypes.Columns(e).empty();
    for (size_t i = prototypes.begin[e]; i < prototypes.begin[e + 1]; ++i) {
      entries.emplace_back(prototypes.column[i], static_cast<uint32_t>(e), prototypes.value[i]);
    }
  }
  std::sort(entries.begin(), entries.end());
  for (const auto& [column, expert, value] : entries) {
    if (column_.empty() || column_.back() != column) {
      column_.push_back(column);
      begin_.push_back(expert_.size());
    }
    expert_.push_back(expert);
    value_.push_back(value);
  }
  begin_.push_back(expert_.size());
}

void PrototypeScorer::AddPrototype(const SparseRows& texts, SparseRows& prototypes) {
  std::map<uint32_t, double> sum;
  for (size_t i = 0; i < texts.value.size(); ++i) sum[texts.column[i]] += texts.value[i];
  double square = 0;
  for (const auto& [column, value] : sum) square += value * value;
  std::vector<uint32_t> columns;
  std::vector<float> values;
  for (const auto& [column, value] : sum) {
    if (value == 0) continue;
    columns.push_back(column);
    values.push_back(static_cast<float>(value / std::sqrt(square)));
  }
  prototypes.Add(columns, values);
}

void PrototypeScorer::Evidence(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                               std::vector<float>& evidence) const {
  evidence.assign(experts(), 0.0f);
  if (cards_ == 0) return;
  double square = 0;
  for (size_t i = 0; i < columns.size(); ++i) {
    square += static_cast<double>(values[i]) * values[i];
    const auto found = std::lower_bound(column_.begin(), column_.end(), columns[i]);
    if (found == column_.end() || *found != columns[i]) continue;
    const size_t place = static_cast<size_t>(found - column_.begin());
    for (size_t j = begin_[place]; j < begin_[place + 1]; ++j) {
      evidence[expert_[j]] += values[i] * value_[j];
    }
  }
  const double scale = square > 0 ? 1 / (std::sqrt(square) * kTemperature) : 0;
  double most = 0, sum = 0;  // nobody's card
  for (const float dot : evidence) most = std::max(most, dot * scale);
  sum = std::exp(-most);
  for (size_t e = 0; e < experts(); ++e) {
    if (!parameters_.prototypes.Columns(e).empty()) sum += std::exp(evidence[e] * scale - most);
  }
  const double shift = std::log(static_cast<double>(cards_) + 1) - most - std::log(sum);
  for (size_t e = 0; e < experts(); ++e) {
    if (parameters_.prototypes.Columns(e).empty()) continue;
    evidence[e] =
        static_cast<float>(std::clamp(evidence[e] * scale + shift, -kMostEvidence, kMostEvidence));
  }
}

void PrototypeScorer::Score(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                            LogitScores& scores) const {
  Evidence(columns, values, scores.logit);
  scores.deviation.assign(experts(), 0.0f);
  scores.work.assign(experts(), 1.0f);
  for (size_t e = 0; e < experts(); ++e) {
    const double prior = parameters_.prior[e];
    scores.logit[e] += static_cast<float>(std::log(prior / (1 - prior)));
    const double r = 1 / (1 + std::exp(-static_cast<double>(scores.logit[e])));
    // sqrt(r (1 - r) / (2 + observed)) of r is this of its logit.
    scores.deviation[e] =
        static_cast<float>(1 / std::sqrt(r * (1 - r) * (2.0 + parameters_.observed[e])));
  }
}

void PrototypeScorer::AppendTo(std::vector<SafetensorsTensor>& tensors,
                               std::map<std::string, std::string>&) const {
  const int64_t all = static_cast<int64_t>(experts());
  AppendRows(parameters_.prototypes, "prototype", tensors);
  tensors.push_back({"prior", {all}, parameters_.prior});
  tensors.push_back({"observed", {all}, parameters_.observed});
}

absl::StatusOr<std::unique_ptr<const LogitScorer>> PrototypeScorer::FromTensors(
    const Safetensors& file, const std::string& path, size_t columns, size_t experts) {
  const auto bad = [&path](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  };
  Parameters parameters;
  SparseRows& rows = parameters.prototypes;
  PENSTOCK_ASSIGN_OR_RETURN(rows, ReadRows(file, path, "prototype", columns));
  if (rows.rows() != experts) return bad("there is not a prototype for each expert");
  const int64_t all = static_cast<int64_t>(experts);
  PENSTOCK_ASSIGN_OR_RETURN(parameters.prior, file.Floats("prior", {all}));
  PENSTOCK_ASSIGN_OR_RETURN(parameters.observed, file.Floats("observed", {all}));
  for (size_t e = 0; e < experts; ++e) {
    if (!(parameters.prior[e] > 0 && parameters.prior[e] < 1) || !(parameters.observed[e] >= 0)) {
      return bad("prior is not within (0, 1), or observed is negative");
    }
  }
  return std::make_unique<const PrototypeScorer>(std::move(parameters));
}

}  // namespace penstock::router
