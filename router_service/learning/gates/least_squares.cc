#include "router_service/learning/gates/least_squares.h"

#include <cmath>

namespace penstock::router {

std::vector<double> RidgeLeastSquares(absl::Span<const double> x, size_t columns,
                                      absl::Span<const double> y, size_t outputs, double ridge) {
  const size_t rows = x.size() / columns, height = rows + columns, width = columns + outputs;
  // Column-major [X; sqrt(ridge) I | Y; 0]: a reflection reads and writes whole columns.
  std::vector<double> a(height * width, 0.0);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t j = 0; j < columns; ++j) a[j * height + row] = x[row * columns + j];
    for (size_t o = 0; o < outputs; ++o) a[(columns + o) * height + row] = y[row * outputs + o];
  }
  for (size_t j = 0; j < columns; ++j) a[j * height + rows + j] = std::sqrt(ridge);
  for (size_t j = 0; j < columns; ++j) {
    double* v = a.data() + j * height;
    double square = 0;
    for (size_t i = j; i < height; ++i) square += v[i] * v[i];
    const double diagonal = v[j] > 0 ? -std::sqrt(square) : std::sqrt(square);
    const double head = v[j] - diagonal;  // no cancellation: the signs differ
    const double half = square - v[j] * diagonal;
    v[j] = head;
    for (size_t other = j + 1; other < width; ++other) {
      double* c = a.data() + other * height;
      double dot = 0;
      for (size_t i = j; i < height; ++i) dot += v[i] * c[i];
      const double factor = dot / half;
      for (size_t i = j; i < height; ++i) c[i] -= factor * v[i];
    }
    v[j] = diagonal;
  }
  std::vector<double> w(columns * outputs, 0.0);
  for (size_t o = 0; o < outputs; ++o) {
    for (size_t j = columns; j-- > 0;) {
      double value = a[(columns + o) * height + j];
      for (size_t later = j + 1; later < columns; ++later) {
        value -= a[later * height + j] * w[later * outputs + o];
      }
      w[j * outputs + o] = value / a[j * height + j];
    }
  }
  return w;
}

}  // namespace penstock::router
