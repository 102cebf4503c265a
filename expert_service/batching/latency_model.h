#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace penstock::expert {

// Predicts how long an execution takes from its size, learned from the executions themselves:
//   seconds(size) = a + b * size, a and b >= 0, least squares over the last kWindow executions,
// and for promises that should hold, that times the 0.99 quantile of actual / fitted over the same
// window (at least 1). Eight executions in a row that are all off by more than a fifth to one side
// are taken for a change of regime: what came before is forgotten.
//
// A single execution counts for at most kOutlier times what was expected of it: a descheduled
// thread must not bend the line. Anchors, measured while warming up, stay in the fit, so that a run
// of equal sizes does not leave the slope undetermined. Not thread-safe.
class LatencyModel {
 public:
  static constexpr size_t kWindow = 128;
  static constexpr int kRegimeRun = 8;
  static constexpr double kRegimeRatio = 1.2;
  static constexpr double kOutlier = 4;

  void AddAnchor(int64_t size, absl::Duration took);
  void Observe(int64_t size, absl::Duration took);

  // Zero before anything was measured: then nothing is refused for want of time.
  absl::Duration Mean(int64_t size) const;
  absl::Duration Upper(int64_t size) const;

 private:
  struct Sample {
    double size;
    double seconds;
  };

  double Fitted(double size) const { return a_ + b_ * size; }
  void Refit();
  void NoticeRegime(const Sample& sample);

  std::vector<Sample> anchors_;
  std::vector<Sample> window_;  // a ring once full
  size_t next_ = 0;             // of the ring
  double a_ = 0;
  double b_ = 0;
  double upper_ratio_ = 1;
  int run_ = 0;  // > 0: executions in a row that were too slow, < 0: too fast
};

}  // namespace penstock::expert
