#include "kernels/device/thread_pool.h"

#include <algorithm>

namespace penstock::kernels {
namespace {

// Pauses before a thread sleeps: 10 to 50 microseconds, what waking it would cost.
constexpr int kSpins = 1000;
// Chunks a thread and loop: the last one is a small part of the whole.
constexpr int64_t kChunksPerThread = 16;

// state_: helpers in the low bits.
constexpr uint64_t kHelper = 1;
constexpr uint64_t kOpen = uint64_t{1} << 16;
constexpr uint64_t kNumber = uint64_t{1} << 17;

int64_t Helpers(uint64_t state) { return static_cast<int64_t>(state % kOpen); }
uint64_t Number(uint64_t state) { return state / kNumber; }

thread_local ThreadPool::Busy* current = nullptr;

}  // namespace

ThreadPool::Busy::Busy(ThreadPool& pool) : pool_(pool), outer_(current) {
  pool_.busy_.fetch_add(1);
  current = this;
}

ThreadPool::Busy::~Busy() {
  current = outer_;
  pool_.busy_.fetch_sub(1);
}

ThreadPool::ThreadPool(int threads, CpuClock clock) : threads_(threads), clock_(clock) {
  for (int thread = 1; thread < threads_; ++thread) {
    helpers_.emplace_back([this, thread] { Help(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::Run(int64_t tasks, Body body, void* context) {
  if (tasks < 2 || threads_ < 2 || shared_.exchange(true)) {
    for (int64_t task = 0; task < tasks; ++task) body(context, task, 0);
    return;
  }
  if (current != nullptr && &current->pool_ == this) {
    Share(tasks, body, context, *current);
  } else {
    Busy busy(*this);
    Share(tasks, body, context, busy);
  }
  shared_.store(false);
}

void ThreadPool::Share(int64_t tasks, Body body, void* context, Busy& busy) {
  const int64_t chunk = std::max<int64_t>(tasks / (threads_ * kChunksPerThread), 1);
  loop_ = {body, context, tasks, chunk, &busy.helped_};
  next_.store(0);
  state_.store((Number(state_.load()) + 1) * kNumber + kOpen);
  // Whoever sees no sleeper here is seen by the sleeper, which looks at state_ after it has
  // counted itself.
  if (const int sleeping = sleeping_.load(); sleeping > 0) {
    const int64_t idle = threads_ - busy_.load();
    const int64_t wanted = std::min<int64_t>({(tasks - 1) / chunk, idle, sleeping});
    if (wanted > 0) {
      { const std::lock_guard<std::mutex> lock(mutex_); }
      for (int64_t i = 0; i < wanted; ++i) wake_.notify_one();
    }
  }
  TakeTasks(0);
  state_.fetch_and(~kOpen);
  WaitForHelpers();
}

void ThreadPool::WaitForHelpers() {
  for (int i = 0; i < kSpins; ++i) {
    if (Helpers(state_.load()) == 0) return;
    __builtin_ia32_pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  caller_waits_.store(true);
  done_.wait(lock, [this] { return Helpers(state_.load()) == 0; });
  caller_waits_.store(false);
}

bool ThreadPool::TakeTasks(int thread) {
  for (;;) {
    const int64_t first = next_.fetch_add(loop_.chunk);
    if (first >= loop_.tasks) return true;
    const int64_t last = std::min(first + loop_.chunk, loop_.tasks);
    for (int64_t task = first; task < last; ++task) loop_.body(loop_.context, task, thread);
    if (thread > 0 && Crowded(state_.load())) return false;
  }
}

void ThreadPool::Help(int thread) {
  uint64_t finished = 0;
  while (Await(finished)) {
    const uint64_t number = Number(state_.load());  // stays while this thread helps
    int64_t counted = clock_ != nullptr ? clock_() : 0;
    for (;;) {
      const bool exhausted = TakeTasks(thread);
      if (clock_ != nullptr) {
        const int64_t now = clock_();
        loop_.helped->fetch_add(now - counted, std::memory_order_relaxed);
        counted = now;
      }
      if (exhausted) {
        finished = number;
        Leave();
        break;
      }
      if (GiveWay()) break;
    }
  }
}

bool ThreadPool::Crowded(uint64_t state) const { return Helpers(state) + busy_.load() > threads_; }

bool ThreadPool::GiveWay() {
  uint64_t state = state_.load();
  while (Crowded(state)) {
    if (state_.compare_exchange_weak(state, state - kHelper)) {
      Left(state - kHelper);
      return true;
    }
  }
  return false;
}

void ThreadPool::Leave() { Left(state_.fetch_sub(kHelper) - kHelper); }

void ThreadPool::Left(uint64_t state) {
  if ((state & kOpen) != 0 || Helpers(state) > 0 || !caller_waits_.load()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  done_.notify_one();
}

bool ThreadPool::TryJoin(uint64_t finished) {
  uint64_t state = state_.load();
  while ((state & kOpen) != 0 && Number(state) != finished && !Crowded(state + kHelper)) {
    if (state_.compare_exchange_weak(state, state + kHelper)) return true;
  }
  return false;
}

bool ThreadPool::Await(uint64_t finished) {
  // Where all cores are in use, to spin is to hold up a caller.
  for (int i = 0; i < kSpins && busy_.load() < threads_; ++i) {
    if (TryJoin(finished)) return true;
    __builtin_ia32_pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  sleeping_.fetch_add(1);
  bool joined = false;
  wake_.wait(lock, [&] { return ending_ || (joined = TryJoin(finished)); });
  sleeping_.fetch_sub(1);
  return joined;
}

}  // namespace penstock::kernels
