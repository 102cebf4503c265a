#include "bench/replay/attacks.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "common/random.h"

namespace penstock::router {
namespace {

using Cell = OutcomeMatrix::Cell;

constexpr int kTries = 8;

// Whom an attack is to favour, and what its joules count.
struct Favour {
  size_t expert = 0;
  double price_per_joule = 0;
};

// By how much the expert looks better than everybody else.
double Margin(absl::Span<const Cell> row, const Favour& favour) {
  const auto net = [&](const Cell& cell) {
    return cell.predicted_quality - favour.price_per_joule * cell.predicted_joules;
  };
  double other = -std::numeric_limits<double>::infinity();
  for (size_t e = 0; e < row.size(); ++e) {
    if (e != favour.expert) other = std::max(other, net(row[e]));
  }
  return net(row[favour.expert]) - other;
}

size_t MostFavourable(const OutcomeMatrix& outcomes, const Favour& favour) {
  size_t best = 0;
  for (size_t row = 1; row < outcomes.rows(); ++row) {
    if (Margin(outcomes.Row(row), favour) > Margin(outcomes.Row(best), favour)) best = row;
  }
  return best;
}

std::vector<Cell> MeanPredictions(const OutcomeMatrix& outcomes) {
  std::vector<Cell> means;
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    double quality = 0;
    double joules = 0;
    for (size_t row = 0; row < outcomes.rows(); ++row) {
      quality += outcomes.Row(row)[e].predicted_quality;
      joules += outcomes.Row(row)[e].predicted_joules;
    }
    Cell& mean = means.emplace_back();
    mean.predicted_quality = static_cast<float>(quality / static_cast<double>(outcomes.rows()));
    mean.predicted_joules = static_cast<float>(joules / static_cast<double>(outcomes.rows()));
  }
  return means;
}

void PredictExtremes(absl::Span<Cell> row, size_t expert) {
  for (size_t e = 0; e < row.size(); ++e) row[e].predicted_quality = e == expert ? 1 : 0;
}

void PredictJoules(absl::Span<Cell> row, size_t expert, float least, float most) {
  for (size_t e = 0; e < row.size(); ++e) row[e].predicted_joules = e == expert ? least : most;
}

void Paste(absl::Span<const Cell> from, absl::Span<Cell> row) {
  for (size_t e = 0; e < row.size(); ++e) {
    row[e].predicted_quality = from[e].predicted_quality;
    row[e].predicted_joules = from[e].predicted_joules;
    row[e].predicted_tokens = from[e].predicted_tokens;
  }
}

void TrySuffixes(const OutcomeMatrix& outcomes, absl::Span<const Cell> means, const Favour& favour,
                 CounterRandom& random, absl::Span<Cell> row) {
  const std::vector<Cell> before(row.begin(), row.end());
  std::vector<Cell> attempt = before;
  double best = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTries; ++i) {
    const absl::Span<const Cell> other = outcomes.Row(random.Below(outcomes.rows()));
    for (size_t e = 0; e < attempt.size(); ++e) {
      attempt[e].predicted_quality = std::clamp(
          before[e].predicted_quality + other[e].predicted_quality - means[e].predicted_quality,
          0.0f, 1.0f);
      attempt[e].predicted_joules =
          before[e].predicted_joules * other[e].predicted_joules / means[e].predicted_joules;
    }
    const double margin = Margin(attempt, favour);
    if (margin <= best) continue;
    best = margin;
    std::copy(attempt.begin(), attempt.end(), row.begin());
  }
}

}  // namespace

const char* AttackName(Attack attack) {
  switch (attack) {
    case Attack::kNone:
      return "none";
    case Attack::kWhiteBox:
      return "white-box";
    case Attack::kWhiteBoxJoules:
      return "white-box, joules too";
    case Attack::kPaste:
      return "paste";
    case Attack::kRandomSuffix:
      return "random suffix";
  }
  return "";
}

OutcomeMatrix WithAttackedRows(const OutcomeMatrix& outcomes, Attack attack, size_t expert,
                               double price_per_joule, uint64_t seed) {
  OutcomeMatrix attacked = outcomes;
  attacked.ids.insert(attacked.ids.end(), outcomes.ids.begin(), outcomes.ids.end());
  attacked.cells.insert(attacked.cells.end(), outcomes.cells.begin(), outcomes.cells.end());
  const Favour favour{expert, price_per_joule};
  const size_t favourite = MostFavourable(outcomes, favour);
  const std::vector<Cell> means = MeanPredictions(outcomes);
  const auto [least, most] = std::minmax_element(
      outcomes.cells.begin(), outcomes.cells.end(),
      [](const Cell& a, const Cell& b) { return a.predicted_joules < b.predicted_joules; });
  for (size_t row = 0; row < outcomes.rows(); ++row) {
    CounterRandom random(seed, row);
    const absl::Span<Cell> cells =
        absl::MakeSpan(attacked.cells)
            .subspan((outcomes.rows() + row) * outcomes.experts.size(), outcomes.experts.size());
    switch (attack) {
      case Attack::kNone:
        break;
      case Attack::kWhiteBoxJoules:
        PredictJoules(cells, expert, least->predicted_joules, most->predicted_joules);
        [[fallthrough]];
      case Attack::kWhiteBox:
        PredictExtremes(cells, expert);
        break;
      case Attack::kPaste:
        Paste(outcomes.Row(favourite), cells);
        break;
      case Attack::kRandomSuffix:
        TrySuffixes(outcomes, means, favour, random, cells);
        break;
    }
  }
  return attacked;
}

}  // namespace penstock::router
