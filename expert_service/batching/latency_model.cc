#include "expert_service/batching/latency_model.h"

#include <algorithm>

namespace penstock::expert {

void LatencyModel::AddAnchor(int64_t size, absl::Duration took) {
  anchors_.push_back({static_cast<double>(size), absl::ToDoubleSeconds(took)});
  Refit();
}

void LatencyModel::Observe(int64_t size, absl::Duration took) {
  Sample sample{static_cast<double>(size), absl::ToDoubleSeconds(took)};
  const double expected = Fitted(sample.size);
  if (expected > 0) sample.seconds = std::min(sample.seconds, kOutlier * expected);
  if (window_.size() < kWindow) {
    window_.push_back(sample);
    next_ = window_.size() % kWindow;
  } else {
    window_[next_] = sample;
    next_ = (next_ + 1) % kWindow;
  }
  NoticeRegime(sample);
  Refit();
}

void LatencyModel::NoticeRegime(const Sample& sample) {
  const double fitted = Fitted(sample.size);
  if (fitted <= 0) return;
  const double ratio = sample.seconds / fitted;
  if (ratio > kRegimeRatio) {
    run_ = std::max(run_, 0) + 1;
  } else if (ratio < 1 / kRegimeRatio) {
    run_ = std::min(run_, 0) - 1;
  } else {
    run_ = 0;
  }
  if (run_ < kRegimeRun && run_ > -kRegimeRun) return;

  run_ = 0;
  std::vector<Sample> recent;  // the last kRegimeRun, oldest first
  const size_t count = std::min<size_t>(kRegimeRun, window_.size());
  for (size_t i = count; i > 0; --i) {
    recent.push_back(window_[(next_ + window_.size() - i) % window_.size()]);
  }
  // The anchors follow the regime by the median ratio to their own line, so that its shape stays.
  if (!anchors_.empty()) {
    window_.clear();
    Refit();
    std::vector<double> ratios;
    for (const Sample& each : recent) {
      if (Fitted(each.size) > 0) ratios.push_back(each.seconds / Fitted(each.size));
    }
    if (!ratios.empty()) {
      std::nth_element(ratios.begin(), ratios.begin() + ratios.size() / 2, ratios.end());
      for (Sample& anchor : anchors_) anchor.seconds *= ratios[ratios.size() / 2];
    }
  }
  window_ = std::move(recent);
  next_ = window_.size() % kWindow;
}

void LatencyModel::Refit() {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  const auto add = [&](const Sample& s) {
    n += 1;
    sx += s.size;
    sy += s.seconds;
    sxx += s.size * s.size;
    sxy += s.size * s.seconds;
  };
  for (const Sample& anchor : anchors_) add(anchor);
  for (const Sample& sample : window_) add(sample);
  if (n == 0) return;
  const double spread = n * sxx - sx * sx;
  if (spread <= 1e-9 * n * sxx) {
    // One size only: in proportion to the size, which is the most that a larger batch can take.
    a_ = 0;
    b_ = sxx > 0 ? sxy / sxx : 0;
  } else {
    b_ = (n * sxy - sx * sy) / spread;
    a_ = (sy - b_ * sx) / n;
    if (b_ < 0) {
      b_ = 0;
      a_ = sy / n;
    } else if (a_ < 0) {
      a_ = 0;
      b_ = sxy / sxx;
    }
  }

  upper_ratio_ = 1;
  if (window_.empty()) return;
  std::vector<double> ratios;
  ratios.reserve(window_.size());
  for (const Sample& sample : window_) {
    const double fitted = Fitted(sample.size);
    if (fitted > 0) ratios.push_back(sample.seconds / fitted);
  }
  if (ratios.empty()) return;
  const size_t rank = std::min(ratios.size() - 1, static_cast<size_t>(0.99 * ratios.size()));
  std::nth_element(ratios.begin(), ratios.begin() + rank, ratios.end());
  upper_ratio_ = std::max(1.0, ratios[rank]);
}

absl::Duration LatencyModel::Mean(int64_t size) const {
  return absl::Seconds(Fitted(static_cast<double>(size)));
}

absl::Duration LatencyModel::Upper(int64_t size) const {
  return absl::Seconds(Fitted(static_cast<double>(size)) * upper_ratio_);
}

}  // namespace penstock::expert
