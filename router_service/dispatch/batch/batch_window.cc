#include "router_service/dispatch/batch/batch_window.h"

#include <numeric>
#include <utility>

#include "router_service/selection/batch_places.h"

namespace penstock::router {
namespace {

constexpr double kBusy = 0.7;
constexpr double kWindowMs = 5;
constexpr size_t kMost = 256;
constexpr double kEntropy = 0.05;

}  // namespace

BatchWindow::BatchWindow(const config::v1::BatchAssignment& config, const Clock& clock,
                         Timers& timers, std::unique_ptr<BatchWorker> worker)
    : utilisation_(config.has_utilisation() ? config.utilisation() : kBusy),
      window_(absl::Milliseconds(config.has_window_ms() ? config.window_ms() : kWindowMs)),
      most_(config.has_max_requests() ? config.max_requests() : kMost),
      entropy_(config.has_entropy() ? config.entropy() : kEntropy),
      clock_(clock),
      timers_(timers),
      worker_(std::move(worker)) {}

BatchWindow::~BatchWindow() { Stop(); }

void BatchWindow::Stop() {
  bool work = false;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    work = !waiting_.empty() && Due();
  }
  if (work) worker_->Run([this] { Work(); });
  MutexLock lock(mutex_);
  while (working_) idle_.Wait(mutex_);
}

bool BatchWindow::Busy(const PoolLoad& load) const {
  const double capacity = std::accumulate(load.slots.begin(), load.slots.end(), 0.0);
  const double running = std::accumulate(load.in_flight.begin(), load.in_flight.end(), 0.0);
  MutexLock lock(mutex_);
  return capacity > 0 && running + static_cast<double>(waiting_.size()) >= utilisation_ * capacity;
}

void BatchWindow::Join(std::shared_ptr<const Pool> pool, WaitingRequest request) {
  uint64_t full = 0;
  bool fits = true;
  {
    MutexLock lock(mutex_);
    fits = !stopped_ && waiting_.size() < most_;
    if (fits) {
      pool_ = std::move(pool);
      waiting_.push_back(std::move(request));
      if (waiting_.size() == 1) {
        const uint64_t number = ++number_;
        timer_ = timers_.Schedule(clock_.Now() + window_, [weak = weak_from_this(), number] {
          if (auto self = weak.lock()) self->Close(number);
        });
      }
      if (waiting_.size() < most_) return;
      full = number_;
    }
  }
  if (fits) {
    Close(full);
  } else {
    request.resume(BatchAssigner::kUnassigned, 1);
  }
}

void BatchWindow::Close(uint64_t number) {
  {
    MutexLock lock(mutex_);
    // It was full before its time, and another one is open.
    if (number != number_ || waiting_.empty()) return;
    if (!Due()) return;
  }
  worker_->Run([this] { Work(); });
}

bool BatchWindow::Due() {
  if (timer_ != 0) timers_.Cancel(timer_);
  timer_ = 0;
  due_ = true;
  return !std::exchange(working_, true);
}

void BatchWindow::Work() {
  for (;;) {
    std::vector<WaitingRequest> requests;
    std::shared_ptr<const Pool> pool;
    {
      MutexLock lock(mutex_);
      if (!due_) {
        working_ = false;
        idle_.NotifyAll();  // under the lock: Stop's caller may destroy the window
        return;
      }
      due_ = false;
      requests.swap(waiting_);
      pool = std::move(pool_);
    }
    Assign(*pool, std::move(requests));
  }
}

void BatchWindow::Assign(const Pool& pool, std::vector<WaitingRequest> requests) {
  const size_t experts = pool.experts.size();
  const size_t together = requests.size();
  if (together == 1) {
    requests[0].resume(BatchAssigner::kUnassigned, 1);
    return;
  }
  std::vector<double> affinity;
  affinity.reserve(together * experts);
  for (const WaitingRequest& request : requests) {
    affinity.insert(affinity.end(), request.worth.begin(), request.worth.end());
  }
  const PoolLoad load = ReadPoolLoad(pool, clock_.Now());
  const std::vector<uint32_t> places = PlacesFor(load.in_flight, load.slots, together);
  std::vector<int32_t> expert(together);
  SinkhornAssigner assigner({.entropy = entropy_, .columns = ColumnRule::kLimit});
  assigner.Assign({together, affinity, places}, absl::MakeSpan(expert));
  for (size_t i = 0; i < together; ++i) requests[i].resume(expert[i], together);
}

}  // namespace penstock::router
