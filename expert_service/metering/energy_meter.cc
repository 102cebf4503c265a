#include "expert_service/metering/energy_meter.h"

#include <algorithm>

namespace penstock::expert {
namespace {

// Where neither a counter nor the configuration says: a core or two and their share of the board.
constexpr double kDefaultIdleWatts = 10;

}  // namespace

EnergyMeter::EnergyMeter(Options options, std::unique_ptr<EnergyCounter> counter, absl::Time now)
    : options_(options), counter_(std::move(counter)), last_read_(now) {
  MutexLock lock(mutex_);
  window_.start = now;
  watts_ = IdleWatts();
}

double EnergyMeter::IdleWatts() const {
  if (options_.idle_watts.has_value()) return *options_.idle_watts;
  if (counter_ == nullptr) return kDefaultIdleWatts;
  return least_watts_.value_or(0);
}

EnergyMeter::LaunchId EnergyMeter::Begin(std::vector<EnergyShare> shares, absl::Time now,
                                         Helped helped) {
  Launch launch;
  launch.accounted_until = now;
  launch.helped = std::move(helped);
  launch.shares = std::move(shares);
  for (const EnergyShare& share : launch.shares) launch.modelled += share.modelled_joules;
  MutexLock lock(mutex_);
  running_.emplace(next_launch_, std::move(launch));
  return next_launch_++;
}

void EnergyMeter::Account(Launch& launch, absl::Time until) {
  absl::Duration cores = until - launch.accounted_until;
  launch.accounted_until = until;
  if (launch.helped) {
    const absl::Duration helped = launch.helped();
    cores += helped - launch.helped_before;
    launch.helped_before = helped;
  }
  const double seconds = absl::ToDoubleSeconds(cores);
  if (seconds <= 0 || launch.shares.empty()) return;
  launch.ran.emplace_back(window_.number, seconds);
  const double count = static_cast<double>(launch.shares.size());
  for (const EnergyShare& share : launch.shares) {
    const double part = launch.modelled > 0 ? share.modelled_joules / launch.modelled : 1 / count;
    window_.busy[share.owner] += seconds * part;
  }
}

void EnergyMeter::Spread(const Launch& launch) {
  if (launch.ran.empty()) window_.worked += launch.modelled;  // it took no time
  double total = 0;
  for (const auto& [window, seconds] : launch.ran) total += seconds;
  for (const auto& [window, seconds] : launch.ran) {
    const double part = launch.modelled * (seconds / total);
    if (window == window_.number) {
      window_.worked += part;
      continue;
    }
    const auto it = open_ratios_.find(window);
    if (it == open_ratios_.end()) continue;  // closed without a counter
    it->second.worked += part;
    if (--it->second.running > 0) continue;
    SetRatio(window, it->second.active, it->second.worked);
    open_ratios_.erase(it);
  }
}

void EnergyMeter::SetRatio(uint64_t window, double active, double worked) {
  if (window < ratio_window_ || active <= 0 || worked <= 0) return;
  ratio_window_ = window;
  ratio_ = active / worked;
}

std::vector<double> EnergyMeter::End(LaunchId launch_id, absl::Time now,
                                     const std::vector<double>& modelled_joules) {
  std::vector<double> told;
  MutexLock lock(mutex_);
  const auto it = running_.find(launch_id);
  if (it == running_.end()) return told;
  Launch& launch = it->second;
  if (modelled_joules.size() == launch.shares.size()) {
    launch.modelled = 0;
    for (size_t i = 0; i < launch.shares.size(); ++i) {
      launch.shares[i].modelled_joules = modelled_joules[i];
      launch.modelled += modelled_joules[i];
    }
  }
  Account(launch, now);
  for (const EnergyShare& share : launch.shares) {
    told.push_back(share.modelled_joules * ratio_);
    window_.modelled += share.modelled_joules;
    window_.modelled_by_owner[share.owner] += share.modelled_joules;
    if (share.owner != EnergyShare::kNobody) window_.reported += told.back();
  }
  Spread(launch);
  running_.erase(it);
  return told;
}

void EnergyMeter::Sample(absl::Time now) {
  double joules = 0;
  bool degraded = false;
  if (counter_ != nullptr) {
    // Not under the lock: NVML takes milliseconds.
    const absl::StatusOr<std::vector<CounterReading>> readings = counter_->Read();
    if (readings.ok()) {
      last_read_ = now;
      trackers_.resize(readings->size());
      for (size_t i = 0; i < readings->size(); ++i) {
        joules += trackers_[i].Update((*readings)[i], now).joules;
        degraded = degraded || trackers_[i].stalled();
      }
    } else {
      degraded = now - last_read_ > CounterTracker::kStall;
    }
  }
  MutexLock lock(mutex_);
  window_.counted += joules;
  degraded_ = degraded;
  if (degraded) {
    ratio_ = 1;
    open_ratios_.clear();
  }
  if (now - window_.start >= options_.window) Close(now);
}

void EnergyMeter::Close(absl::Time now) {
  for (auto& [id, launch] : running_) Account(launch, now);
  const double seconds = absl::ToDoubleSeconds(now - window_.start);
  if (counter_ == nullptr || degraded_) {
    const double idle = IdleWatts() * seconds;
    totals_.idle += idle;
    totals_.meter += idle + window_.modelled;
    watts_ = (idle + window_.modelled) / seconds;
    Book(window_.modelled_by_owner, window_.modelled);
  } else {
    const double energy = window_.counted;
    watts_ = energy / seconds;
    // A window without a step of the counter says nothing about idle power.
    if (energy > 0) least_watts_ = std::min(least_watts_.value_or(watts_), watts_);
    double busy = 0;
    for (const auto& [owner, seconds_busy] : window_.busy) busy += seconds_busy;
    const double idle = busy > 0 ? std::min(energy, IdleWatts() * seconds) : energy;
    const double active = energy - idle;
    std::map<uint64_t, double> joules;
    for (const auto& [owner, seconds_busy] : window_.busy) {
      joules[owner] = active * (seconds_busy / busy);
    }
    totals_.idle += idle;
    totals_.meter += energy;
    size_t running = 0;
    for (const auto& [id, launch] : running_) {
      if (!launch.ran.empty() && launch.ran.back().first == window_.number) ++running;
    }
    if (running == 0) {
      SetRatio(window_.number, active, window_.worked);
    } else {
      open_ratios_[window_.number] = {active, window_.worked, running};
    }
    Book(joules, active);
  }
  const uint64_t next = window_.number + 1;
  window_ = Window();
  window_.start = now;
  window_.number = next;
}

void EnergyMeter::Book(const std::map<uint64_t, double>& joules_by_owner, double active) {
  double attributed = 0;
  for (const auto& [owner, joules] : joules_by_owner) {
    if (owner == EnergyShare::kNobody) continue;
    totals_.attributed[owner] += joules;
    attributed += joules;
  }
  totals_.unattributed += active - attributed;
  totals_.reported += window_.reported;
  totals_.corrections += attributed - window_.reported;
}

EnergyMeter::Totals EnergyMeter::totals() const {
  MutexLock lock(mutex_);
  return totals_;
}

double EnergyMeter::watts() const {
  MutexLock lock(mutex_);
  return watts_;
}

double EnergyMeter::idle_watts() const {
  MutexLock lock(mutex_);
  return IdleWatts();
}

double EnergyMeter::ratio() const {
  MutexLock lock(mutex_);
  return ratio_;
}

EnergyMethod EnergyMeter::method() const {
  MutexLock lock(mutex_);
  return counter_ == nullptr || degraded_ ? EnergyMethod::kModelled : EnergyMethod::kCounter;
}

std::string EnergyMeter::description() const {
  return counter_ == nullptr ? "modelled" : counter_->description();
}

}  // namespace penstock::expert
