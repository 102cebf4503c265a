#include "router_service/learning/gates/gate_fitter.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "router_service/learning/linear/minimise.h"

namespace penstock::router {
namespace {

constexpr double kTiny = 1e-3;  // of a row's likelihood

std::vector<size_t> RowsWhere(const GateTrainingSet& set, const std::function<bool(int)>& fold) {
  std::vector<size_t> rows;
  for (size_t row = 0; row < set.rows(); ++row) {
    double sum = 0;
    for (size_t e = 0; e < set.experts.size(); ++e) sum += set.targets[e * set.rows() + row];
    if (sum > 0 && fold(set.fold[row])) rows.push_back(row);
  }
  return rows;
}

// The heads of one row from scores [heads, rows].
void Gather(absl::Span<const float> scores, absl::Span<const float> offsets, size_t rows,
            size_t row, std::vector<double>& heads) {
  for (size_t h = 0; h < heads.size(); ++h) {
    heads[h] = scores[h * rows + row];
    if (!offsets.empty()) heads[h] += offsets[h * rows + row];
  }
}

}  // namespace

GateFitter::Design::Design(const GateTrainingSet& set, absl::Span<const float> standard,
                           std::vector<size_t> taken)
    : rows(std::move(taken)), linear(standard, set.dimension, rows) {
  const size_t experts = set.experts.size();
  for (const size_t row : rows) {
    float most = 0;
    for (size_t e = 0; e < experts; ++e) most = std::max(most, set.targets[e * set.rows() + row]);
    for (size_t e = 0; e < experts; ++e) {
      worth.push_back(double{set.targets[e * set.rows() + row]} / most);
    }
  }
}

GateFitter::GateFitter(const GateTrainingSet& set)
    : set_(set), standardisation_(Standardisation::Of(set.features, set.rows(), set.dimension)) {
  const std::vector<float> standard = standardisation_.Apply(set.features);
  std::vector<size_t> all = RowsWhere(set, [](int) { return true; });
  std::vector<size_t> fitted = RowsWhere(set, [](int fold) { return fold != 0; });
  std::vector<size_t> chosen_by = RowsWhere(set, [](int fold) { return fold == 0; });
  if (fitted.empty() || chosen_by.empty()) fitted = chosen_by = all;
  designs_.reserve(3);
  designs_.emplace_back(set, standard, std::move(fitted));
  designs_.emplace_back(set, standard, std::move(chosen_by));
  designs_.emplace_back(set, standard, std::move(all));
}

double GateFitter::Loss(Part part, const GateWeights& gate, double l2,
                        absl::Span<const float> offsets, const std::vector<double>& parameters,
                        std::vector<double>& gradient) const {
  const Design& design = Of(part);
  const size_t rows = design.rows.size(), experts = gate.experts(), width = set_.dimension + 1;
  const absl::Span<const double> x(parameters);
  const absl::Span<const double> scalars = x.subspan(gate.heads() * width);
  std::vector<float> scores, residuals(gate.heads() * rows);
  design.linear.Scores(x.first(gate.heads() * width), gate.heads(), scores);
  std::vector<double> heads(gate.heads()), weights(experts), by_weight(experts), by_head,
      by_scalar(gate.scalars(), 0.0);
  const double share = 1 / std::max(1.0, static_cast<double>(rows));
  double loss = 0;
  for (size_t i = 0; i < rows; ++i) {
    Gather(scores, offsets, rows, i, heads);
    gate.Forward(heads, scalars, absl::MakeSpan(weights));
    double likelihood = kTiny;
    for (size_t e = 0; e < experts; ++e) likelihood += weights[e] * design.worth[i * experts + e];
    for (size_t e = 0; e < experts; ++e) {
      by_weight[e] = -share * design.worth[i * experts + e] / likelihood;
    }
    by_head.assign(heads.size(), 0.0);
    loss += share * gate.Penalty(heads, absl::MakeSpan(by_head)) - share * std::log(likelihood);
    for (double& value : by_head) value *= share;
    gate.Backward(heads, scalars, by_weight, absl::MakeSpan(by_head), absl::MakeSpan(by_scalar));
    for (size_t h = 0; h < heads.size(); ++h) {
      residuals[h * rows + i] = static_cast<float>(by_head[h]);
    }
  }
  design.linear.Gradient(residuals, gate.heads(), gradient);
  loss += RidgePenalty(x.first(gradient.size()), set_.dimension, l2, absl::MakeSpan(gradient));
  gradient.insert(gradient.end(), by_scalar.begin(), by_scalar.end());
  return loss;
}

void GateFitter::Fit(Part part, const GateWeights& gate, double l2, int iterations,
                     absl::Span<const float> offsets, std::vector<double>& parameters) const {
  Minimise(
      [&](const std::vector<double>& x, std::vector<double>& gradient) {
        return Loss(part, gate, l2, offsets, x, gradient);
      },
      parameters, {iterations, 1e-5});
}

double GateFitter::Worth(Part part, const GateWeights& gate,
                         const std::vector<double>& parameters) const {
  const Design& design = Of(part);
  const size_t rows = design.rows.size(), experts = gate.experts(), width = set_.dimension + 1;
  const absl::Span<const double> x(parameters);
  std::vector<float> scores;
  design.linear.Scores(x.first(gate.heads() * width), gate.heads(), scores);
  std::vector<double> heads(gate.heads()), weights(experts);
  double sum = 0;
  for (size_t i = 0; i < rows; ++i) {
    Gather(scores, {}, rows, i, heads);
    gate.Forward(heads, x.subspan(gate.heads() * width), absl::MakeSpan(weights));
    const auto largest = std::max_element(weights.begin(), weights.end());
    sum += design.worth[i * experts + static_cast<size_t>(largest - weights.begin())];
  }
  return rows == 0 ? 0 : sum / static_cast<double>(rows);
}

std::vector<double> GateFitter::Start(const GateWeights& gate, double spread,
                                      uint64_t sequence) const {
  CounterRandom random(set_.seed, sequence);
  std::vector<double> parameters(gate.heads() * (set_.dimension + 1), 0.0);
  for (double& value : parameters) value = spread * (2 * random.Uniform() - 1);
  parameters.resize(parameters.size() + gate.scalars(), 0.0);
  return parameters;
}

std::vector<SafetensorsTensor> GateFitter::HeadTensors(
    const std::string& name, const std::vector<int64_t>& shape, absl::Span<const size_t> heads,
    const std::vector<double>& parameters) const {
  const size_t d = set_.dimension;
  SafetensorsTensor weights, biases;
  weights.name = name;
  weights.shape = biases.shape = shape;
  weights.shape.push_back(static_cast<int64_t>(d));
  biases.name = absl::StrCat(name, "_bias");
  for (const size_t head : heads) {
    const auto first = parameters.begin() + static_cast<std::ptrdiff_t>(head * (d + 1));
    std::vector<double> weight(first, first + static_cast<std::ptrdiff_t>(d));
    double bias = parameters[head * (d + 1) + d];
    standardisation_.Fold(absl::MakeSpan(weight), bias);
    weights.values.insert(weights.values.end(), weight.begin(), weight.end());
    biases.values.push_back(static_cast<float>(bias));
  }
  return {weights, biases};
}

ChosenFit FitBest(const GateFitter& fitter, size_t candidates,
                  const std::function<const GateWeights&(size_t)>& gate,
                  const std::function<std::vector<double>(size_t, GateFitter::Part)>& fit) {
  ChosenFit chosen;
  double most = -1;
  for (size_t candidate = 0; candidate < candidates; ++candidate) {
    const std::vector<double> parameters = fit(candidate, GateFitter::Part::kFitted);
    const double worth = fitter.Worth(GateFitter::Part::kChosenBy, gate(candidate), parameters);
    if (!(worth > most)) continue;
    most = worth;
    chosen.candidate = candidate;
  }
  chosen.parameters = fit(chosen.candidate, GateFitter::Part::kAll);
  return chosen;
}

}  // namespace penstock::router
