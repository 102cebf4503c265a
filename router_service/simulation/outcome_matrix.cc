#include "router_service/simulation/outcome_matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::router {
namespace {

double Mean(const OutcomeMatrix& matrix, size_t expert, float OutcomeMatrix::Cell::* field) {
  double sum = 0;
  size_t count = 0;
  for (size_t row = 0; row < matrix.rows(); ++row) {
    const OutcomeMatrix::Cell& cell = matrix.Row(row)[expert];
    if (std::isnan(cell.quality)) continue;
    sum += cell.*field;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

double OutcomeMatrix::MeanQuality(size_t expert) const {
  return Mean(*this, expert, &Cell::quality);
}

double OutcomeMatrix::MeanJoules(size_t expert) const { return Mean(*this, expert, &Cell::joules); }

double OutcomeMatrix::LargestJoules(size_t expert) const {
  double largest = 0;
  for (size_t row = 0; row < rows(); ++row) {
    const Cell& cell = Row(row)[expert];
    if (!std::isnan(cell.quality)) largest = std::max<double>(largest, cell.joules);
  }
  return largest;
}

size_t OutcomeMatrix::BestSingle() const {
  size_t best = 0;
  double most = -1;
  for (size_t e = 0; e < experts.size(); ++e) {
    const double quality = MeanQuality(e);
    if (quality > most) {
      best = e;
      most = quality;
    }
  }
  return best;
}

size_t OutcomeMatrix::Cheapest() const {
  size_t cheapest = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t e = 0; e < experts.size(); ++e) {
    const double joules = MeanJoules(e);
    if (joules < least) {
      cheapest = e;
      least = joules;
    }
  }
  return cheapest;
}

}  // namespace penstock::router
