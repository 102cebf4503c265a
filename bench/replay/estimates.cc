#include "bench/replay/estimates.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "router_service/baselines/hashed_tfidf.h"
#include "router_service/baselines/ridge.h"

namespace penstock::router {
namespace {

constexpr uint32_t kColumns = 1 << 16;
constexpr double kPenalty = 10;
constexpr float kTokensAdded = 8;

std::vector<const std::string*> Prompts(const RoutingSet& set, const std::vector<size_t>& rows) {
  std::vector<const std::string*> prompts;
  for (const size_t row : rows) prompts.push_back(&set.prompts[row]);
  return prompts;
}

}  // namespace

void EstimateByRidge(const RoutingSet& set, OutcomeMatrix& outcomes) {
  const size_t models = set.models.size();
  const bool has_test = std::count(set.test.begin(), set.test.end(), 1) > 0;
  std::map<int, std::vector<size_t>> parts;  // predicted together
  for (size_t row = 0; row < set.rows; ++row) {
    if (!has_test || set.test[row] != 0) parts[has_test ? 0 : set.fold[row]].push_back(row);
  }
  // What an expert's exp(log tokens) must be multiplied with, from rows that were predicted.
  std::vector<double> tokens(models), raw(models);
  for (const auto& [part, tested] : parts) {
    std::vector<size_t> trained;
    for (size_t row = 0; row < set.rows; ++row) {
      if (has_test ? set.test[row] == 0 : set.fold[row] != part) trained.push_back(row);
    }
    const HashedTfidf features(Prompts(set, trained), kColumns);
    std::vector<float> targets(2 * models * trained.size());
    for (size_t m = 0; m < models; ++m) {
      for (size_t i = 0; i < trained.size(); ++i) {
        targets[m * trained.size() + i] = set.quality[set.At(m, trained[i])];
        targets[(models + m) * trained.size() + i] =
            std::log(set.tokens[set.At(m, trained[i])] + kTokensAdded);
      }
    }
    const SparseRows x = features.Transform(Prompts(set, trained));
    const Ridge ridge = Ridge::Fit(x, targets, 2 * models, kPenalty);
    const std::vector<float> predicted = ridge.Predict(features.Transform(Prompts(set, tested)));
    // Where the training rows alone may set the factor, they do.
    const std::vector<float> fitted = has_test ? ridge.Predict(x) : predicted;
    const std::vector<size_t>& fitted_rows = has_test ? trained : tested;
    for (size_t m = 0; m < models; ++m) {
      for (size_t i = 0; i < fitted_rows.size(); ++i) {
        tokens[m] += set.tokens[set.At(m, fitted_rows[i])];
        raw[m] += std::exp(fitted[(models + m) * fitted_rows.size() + i]);
      }
      for (size_t i = 0; i < tested.size(); ++i) {
        OutcomeMatrix::Cell& cell = outcomes.cells[tested[i] * models + m];
        cell.predicted_quality = std::clamp(predicted[m * tested.size() + i], 0.0f, 1.0f);
        cell.predicted_tokens = std::exp(predicted[(models + m) * tested.size() + i]);
      }
    }
  }
  for (size_t row = 0; row < set.rows; ++row) {
    for (size_t m = 0; m < models; ++m) {
      OutcomeMatrix::Cell& cell = outcomes.cells[row * models + m];
      cell.predicted_tokens *= static_cast<float>(tokens[m] / raw[m]);
      cell.predicted_joules = cell.predicted_tokens * set.token_price[m];
    }
  }
}

absl::Status WriteEstimates(const OutcomeMatrix& outcomes, const std::string& file) {
  std::ofstream out(file);
  out << "id,model,q,cost\n";
  for (size_t row = 0; row < outcomes.rows(); ++row) {
    for (size_t e = 0; e < outcomes.experts.size(); ++e) {
      const OutcomeMatrix::Cell& cell = outcomes.Row(row)[e];
      out << outcomes.ids[row] << ',' << outcomes.experts[e] << ',' << cell.predicted_quality << ','
          << cell.predicted_joules << '\n';
    }
  }
  out.close();
  return out.good() ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write ", file));
}

}  // namespace penstock::router
