#include "router_service/learning/count/count_trainer.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "router_service/learning/count/count_labels.h"
#include "router_service/learning/linear/softmax_regression.h"

namespace penstock::router {
namespace {

constexpr size_t kMostExperts = 16;  // Selection.max_experts
const std::vector<double> kL2Grid = {3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};

absl::Span<const float> Row(const OutcomeTable& table, size_t row) {
  return absl::MakeConstSpan(table.features).subspan(row * table.dimension, table.dimension);
}

std::vector<size_t> OrderOf(const OutcomeTable& table, absl::Span<const float> predictions,
                            size_t row) {
  std::vector<size_t> order(table.experts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return predictions[table.At(a, row)] > predictions[table.At(b, row)];
  });
  return order;
}

// Takes `price` times the count off every logit.
std::vector<float> Priced(const std::vector<float>& bias, double price) {
  std::vector<float> priced;
  for (size_t i = 0; i < bias.size(); ++i) {
    priced.push_back(static_cast<float>(bias[i] - price * static_cast<double>(i + 1)));
  }
  return priced;
}

double MeanCount(const OutcomeTable& table, const CountGate& gate) {
  double sum = 0;
  for (size_t row = 0; row < table.rows(); ++row) {
    sum += static_cast<double>(gate.Count(Row(table, row)));
  }
  return sum / static_cast<double>(table.rows());
}

}  // namespace

absl::Status CheckCount(const CountOptions& options) {
  if (!(options.factor > 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("count is ", options.factor, ", wanted a factor above 1"));
  }
  if (options.most < 2 || options.most > kMostExperts) {
    return absl::InvalidArgumentError(
        absl::StrCat("count_most is ", options.most, ", wanted 2 to ", kMostExperts));
  }
  const double least = 1 / static_cast<double>(options.most);
  if (options.share && !(*options.share >= least && *options.share <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("count_share is ", *options.share, ", wanted ", least, " to 1"));
  }
  return absl::OkStatus();
}

CountFit FitCount(const OutcomeTable& train, absl::Span<const int> fold, int folds,
                  absl::Span<const float> predictions, const CountOptions& options) {
  const size_t counts = std::min(options.most, train.experts.size());
  std::vector<float> targets(counts * train.rows(), 0.0f);
  for (size_t row = 0; row < train.rows(); ++row) {
    const std::vector<size_t> order = OrderOf(train, predictions, row);
    std::vector<double> error;
    for (size_t m = 1; m <= counts; ++m) error.push_back(VoteError(train, order, m, row));
    targets[(AcmLabel(error, options.factor).count - 1) * train.rows() + row] = 1;
  }
  const SoftmaxFit softmax =
      FitSoftmaxByFolds(train.features, train.dimension, targets, counts, fold, folds, kL2Grid);
  CountFit fit{softmax.weight, softmax.bias};
  if (!options.share) return fit;
  // The mean count falls as one more expert gets dearer.
  const double wanted = *options.share * static_cast<double>(counts);
  double low = -100, high = 100;
  for (int step = 0; step < 60; ++step) {
    const double price = (low + high) / 2;
    const bool too_many = MeanCount(train, {fit.weight, Priced(fit.bias, price)}) > wanted;
    (too_many ? low : high) = price;
  }
  fit.bias = Priced(fit.bias, high);
  return fit;
}

CountReport EvaluateCount(const CountGate& gate, const OutcomeTable& heldout,
                          absl::Span<const float> predictions) {
  CountReport report;
  report.fixed.assign(gate.most(), 0);
  const double rows = static_cast<double>(heldout.rows());
  for (size_t row = 0; row < heldout.rows(); ++row) {
    const std::vector<size_t> order = OrderOf(heldout, predictions, row);
    const size_t count = gate.Count(Row(heldout, row));
    report.mean_count += static_cast<double>(count) / rows;
    report.quality += (1 - VoteError(heldout, order, count, row)) / rows;
    for (size_t m = 0; m < gate.most(); ++m) {
      report.fixed[m] += (1 - VoteError(heldout, order, m + 1, row)) / rows;
    }
  }
  return report;
}

}  // namespace penstock::router
