#include "router_service/simulation/load/load_simulation.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "router_service/selection/batch_places.h"
#include "router_service/selection/congestion_price.h"
#include "router_service/selection/sinkhorn_assigner.h"
#include "router_service/simulation/digest.h"
#include "router_service/simulation/event_queue.h"

namespace penstock::router {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

enum class Happening : uint8_t { kFinished, kWindowEnds };
struct LoadEvent {
  Happening happening = Happening::kFinished;
  uint64_t number = 0;  // of the request, or of the window
};

class LoadSimulator {
 public:
  LoadSimulator(const OutcomeMatrix& outcomes, const LoadOptions& options)
      : outcomes_(outcomes),
        options_(options),
        experts_(outcomes.experts.size()),
        price_(experts_, options.max_utilisation),
        assigner_({.entropy = options.entropy, .columns = ColumnRule::kLimit}),
        load_(experts_, 0),
        running_(experts_, 0),
        busy_s_(experts_, 0),
        waiting_(experts_) {}

  absl::StatusOr<LoadReport> Run() {
    PENSTOCK_RETURN_IF_ERROR(SetUp());
    double at = 0;
    for (size_t i = 0; i < options_.requests; ++i) {
      CounterRandom random(options_.seed, i);
      at -= std::log1p(-random.Uniform()) / arrivals_per_s_;
      while (!events_.empty() && events_.top().at_s <= at) Happen();
      now_ = at;
      Arrive(static_cast<uint32_t>(random.Below(outcomes_.rows())));
    }
    const double last = now_;
    while (!events_.empty()) Happen();
    return Report(last);
  }

 private:
  struct Request {
    double arrived_s = 0;
    double finished_s = 0;
    uint32_t row = 0;
    uint32_t expert = 0;
  };

  absl::Status SetUp() {
    std::vector<double> mean_s(experts_, 0);
    for (size_t e = 0; e < experts_; ++e) {
      double sum = 0, count = 0;
      for (size_t row = 0; row < outcomes_.rows(); ++row) {
        const OutcomeMatrix::Cell& cell = outcomes_.Row(row)[e];
        if (std::isnan(cell.quality)) continue;
        sum += cell.seconds;
        ++count;
      }
      if (!(sum > 0)) {
        return absl::InvalidArgumentError(
            absl::StrCat("expert ", outcomes_.experts[e], " has no answer that took time"));
      }
      mean_s[e] = sum / count;
    }
    const double all_s = std::accumulate(mean_s.begin(), mean_s.end(), 0.0);
    double served_per_s = 0, slots = 0;
    for (size_t e = 0; e < experts_; ++e) {
      const double part = static_cast<double>(options_.slots) * mean_s[e] / all_s;
      slots_.push_back(std::max(1.0, std::round(part)));
      served_per_s += slots_[e] / mean_s[e];
      slots += slots_[e];
    }
    unit_s_ = slots / served_per_s;
    arrivals_per_s_ = options_.utilisation * served_per_s;
    return absl::OkStatus();
  }

  // By expert: predicted quality, NaN where it did not answer this row.
  void ReadWorth(uint32_t row, std::vector<double>& worth) const {
    worth.resize(experts_);
    for (size_t e = 0; e < experts_; ++e) {
      const OutcomeMatrix::Cell& cell = outcomes_.Row(row)[e];
      worth[e] = std::isnan(cell.quality) ? kNaN : cell.predicted_quality;
    }
  }

  void Arrive(uint32_t row) {
    const uint32_t number = static_cast<uint32_t>(requests_.size());
    requests_.push_back({now_, now_, row, 0});
    if (options_.policy == LoadPolicy::kTogether && Busy()) {
      window_.push_back(number);
      if (window_.size() == 1) {
        events_.Push(now_ + options_.window * unit_s_, {Happening::kWindowEnds, windows_});
      }
      if (window_.size() >= options_.most) CloseWindow();
      return;
    }
    ReadWorth(row, worth_);
    Assign(number, ChooseAlone());
  }

  bool Busy() const {
    const double load = std::accumulate(load_.begin(), load_.end(), 0.0);
    const double slots = std::accumulate(slots_.begin(), slots_.end(), 0.0);
    return load + static_cast<double>(window_.size()) >= options_.busy * slots;
  }

  // Of `worth_`; ties by lowest.
  uint32_t ChooseAlone() {
    std::vector<double> off(experts_, 0);
    if (options_.policy == LoadPolicy::kPriced) {
      price_.Price(load_, slots_, absl::MakeSpan(off));
      price_.Record(worth_, load_, slots_);
    }
    bool any_free = false;
    for (size_t e = 0; e < experts_; ++e) {
      any_free = any_free || (!std::isnan(worth_[e]) && load_[e] < slots_[e]);
    }
    const auto value = [&](size_t e) {
      if (options_.policy != LoadPolicy::kFreeSlots) return worth_[e] - off[e];
      if (!any_free) return -load_[e] / slots_[e];
      return load_[e] < slots_[e] ? worth_[e] : BatchProblem::kInadmissible;
    };
    size_t best = experts_;
    for (size_t e = 0; e < experts_; ++e) {
      if (std::isnan(worth_[e])) continue;
      if (best == experts_ || value(e) > value(best)) best = e;
    }
    return static_cast<uint32_t>(best);
  }

  void CloseWindow() {
    ++windows_;
    together_ += window_.size();
    affinity_.clear();
    for (const uint32_t number : window_) {
      ReadWorth(requests_[number].row, worth_);
      affinity_.insert(affinity_.end(), worth_.begin(), worth_.end());
    }
    const std::vector<uint32_t> places = PlacesFor(load_, slots_, window_.size());
    assigned_.assign(window_.size(), BatchAssigner::kUnassigned);
    assigner_.Assign({window_.size(), affinity_, places}, absl::MakeSpan(assigned_));
    std::vector<uint32_t> members;
    members.swap(window_);
    for (size_t i = 0; i < members.size(); ++i) {
      if (assigned_[i] != BatchAssigner::kUnassigned) {
        Assign(members[i], static_cast<uint32_t>(assigned_[i]));
        continue;
      }
      ReadWorth(requests_[members[i]].row, worth_);
      Assign(members[i], ChooseAlone());
    }
  }

  void Assign(uint32_t number, uint32_t expert) {
    requests_[number].expert = expert;
    quality_ += outcomes_.Row(requests_[number].row)[expert].quality;
    digest_.Add(uint64_t{number} << 32 | expert);
    ++load_[expert];
    if (running_[expert] < slots_[expert]) {
      Start(number);
    } else {
      waiting_[expert].push_back(number);
    }
  }

  void Start(uint32_t number) {
    const Request& request = requests_[number];
    const double seconds = outcomes_.Row(request.row)[request.expert].seconds;
    ++running_[request.expert];
    busy_s_[request.expert] += seconds;
    events_.Push(now_ + seconds, {Happening::kFinished, number});
  }

  void Happen() {
    const auto event = events_.Pop();
    now_ = event.at_s;
    if (event.what.happening == Happening::kWindowEnds) {
      if (event.what.number == windows_ && !window_.empty()) CloseWindow();
      return;
    }
    Request& request = requests_[event.what.number];
    const uint32_t expert = request.expert;
    request.finished_s = now_;
    digest_.Add(now_);
    --load_[expert];
    --running_[expert];
    if (waiting_[expert].empty()) return;
    const uint32_t next = waiting_[expert].front();
    waiting_[expert].pop_front();
    Start(next);
  }

  LoadReport Report(double last_arrival_s) const {
    LoadReport report;
    report.quality = quality_ / static_cast<double>(requests_.size());
    std::vector<double> latency;
    for (const Request& request : requests_) {
      latency.push_back((request.finished_s - request.arrived_s) / unit_s_);
    }
    std::sort(latency.begin(), latency.end());
    report.p50 = latency[latency.size() / 2];
    report.p99 = latency[latency.size() * 99 / 100];
    for (size_t e = 0; e < experts_; ++e) {
      report.busiest = std::max(report.busiest, busy_s_[e] / slots_[e] / last_arrival_s);
    }
    if (windows_ > 0) {
      report.together = static_cast<double>(together_) / static_cast<double>(windows_);
    }
    report.digest = digest_.value();
    return report;
  }

  const OutcomeMatrix& outcomes_;
  const LoadOptions& options_;
  const size_t experts_;
  CongestionPrice price_;
  SinkhornAssigner assigner_;
  double unit_s_ = 0;  // mean run time of a slot
  double arrivals_per_s_ = 0;
  double now_ = 0;
  std::vector<double> slots_, load_;  // by expert; load: assigned and not answered
  std::vector<double> running_, busy_s_;
  std::vector<std::deque<uint32_t>> waiting_;
  std::vector<Request> requests_;
  std::vector<uint32_t> window_;  // requests that wait for each other
  uint64_t windows_ = 0;          // closed
  size_t together_ = 0;
  EventQueue<LoadEvent> events_;
  std::vector<double> worth_, affinity_;
  std::vector<int32_t> assigned_;
  double quality_ = 0;
  Digest digest_;
};

absl::Status Check(const OutcomeMatrix& outcomes, const LoadOptions& options) {
  if (outcomes.experts.empty() || outcomes.rows() == 0) {
    return absl::InvalidArgumentError("the outcome table has no rows or no experts");
  }
  if (!(options.utilisation > 0 && options.utilisation < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("utilisation is ", options.utilisation, ", wanted (0, 1)"));
  }
  if (options.requests == 0 || options.slots < outcomes.experts.size() || options.most < 2 ||
      !(options.window > 0) || !(options.entropy > 0)) {
    return absl::InvalidArgumentError(
        "wanted requests, a slot for each expert, a window and an entropy above 0");
  }
  for (size_t row = 0; row < outcomes.rows(); ++row) {
    const auto cells = outcomes.Row(row);
    if (std::all_of(cells.begin(), cells.end(),
                    [](const OutcomeMatrix::Cell& cell) { return std::isnan(cell.quality); })) {
      return absl::InvalidArgumentError(absl::StrCat("row ", row, " was answered by nobody"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view LoadPolicyName(LoadPolicy policy) {
  switch (policy) {
    case LoadPolicy::kQuality:
      return "quality";
    case LoadPolicy::kFreeSlots:
      return "free slots";
    case LoadPolicy::kPriced:
      return "priced";
    case LoadPolicy::kTogether:
      return "together";
  }
  return "";
}

absl::StatusOr<LoadReport> SimulateLoad(const OutcomeMatrix& outcomes, const LoadOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(Check(outcomes, options));
  return LoadSimulator(outcomes, options).Run();
}

}  // namespace penstock::router
