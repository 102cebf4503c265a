#include "router_service/planning/live/plan_sample.h"

#include <algorithm>

namespace penstock::router {

PlanSample::PlanSample(size_t experts, size_t capacity) : experts_(experts), capacity_(capacity) {
  MutexLock lock(mutex_);
  figures_.reserve(3 * experts * capacity);
  classes_.reserve(capacity);
  arrived_.reserve(capacity);
}

void PlanSample::Record(absl::Time arrived, size_t application_class,
                        absl::Span<const double> score, absl::Span<const double> energy_j,
                        absl::Span<const double> latency_s) {
  MutexLock lock(mutex_);
  const size_t row = next_;
  next_ = (next_ + 1) % capacity_;
  if (row == classes_.size()) {
    classes_.emplace_back();
    arrived_.emplace_back();
    figures_.resize(figures_.size() + 3 * experts_);
  }
  classes_[row] = static_cast<uint32_t>(application_class);
  arrived_[row] = arrived;
  float* figures = figures_.data() + row * 3 * experts_;
  for (const absl::Span<const double> column : {score, energy_j, latency_s}) {
    figures = std::transform(column.begin(), column.end(), figures,
                             [](double value) { return static_cast<float>(value); });
  }
}

PlanSample::Rows PlanSample::Read(std::optional<size_t> application_class, absl::Time now) const {
  Rows read;
  std::vector<size_t> rows;
  std::vector<float> figures;
  absl::Time oldest = now;
  {
    MutexLock lock(mutex_);  // the request path waits for it: copied as it lies, read outside
    for (size_t row = 0; row < classes_.size(); ++row) {
      if (application_class && classes_[row] != *application_class) continue;
      rows.push_back(row);
      oldest = std::min(oldest, arrived_[row]);
    }
    figures = figures_;
  }
  read.rows = rows.size();
  const double seconds = absl::ToDoubleSeconds(now - oldest);
  if (seconds > 0) read.requests_per_s = static_cast<double>(rows.size()) / seconds;
  size_t figure = 0;
  for (std::vector<double>* columns : {&read.score, &read.energy_j, &read.latency_s}) {
    columns->resize(experts_ * rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      const float* from = figures.data() + (rows[r] * 3 + figure) * experts_;
      for (size_t i = 0; i < experts_; ++i) (*columns)[i * rows.size() + r] = from[i];
    }
    ++figure;
  }
  return read;
}

}  // namespace penstock::router
