#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace penstock::kernels {

// Threads that help with the loops of whoever calls. A loop is one caller's at a time: who calls
// while another's is open, or from within one, runs all tasks itself. At most `threads` cores are
// in use: for every other caller (class Busy) a helper stays away, or leaves after the few tasks
// that it has taken. Thread-safe.
class ThreadPool {
 public:
  // Told of a loop: `thread` is below threads(), and no two that run at once share one.
  using Body = void (*)(void* context, int64_t task, int thread);
  // CPU that the calling thread has used, in nanoseconds.
  using CpuClock = int64_t (*)();

  // A loop runs on its caller's thread and on threads - 1 of the pool's own. With `clock`, what
  // these spend is told to whom they help.
  explicit ThreadPool(int threads, CpuClock clock = nullptr);
  // No loop may be running.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // While it lives, its thread counts for one core in use, also between its loops. Without one, a
  // loop's caller counts during the loop. One a thread and pool.
  class Busy {
   public:
    explicit Busy(ThreadPool& pool);
    ~Busy();
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

    // CPU that helpers have spent on this thread's loops; thread-safe.
    int64_t helped_nanoseconds() const { return helped_.load(std::memory_order_relaxed); }

   private:
    friend class ThreadPool;
    ThreadPool& pool_;
    Busy* const outer_;  // of another pool
    std::atomic<int64_t> helped_{0};
  };

  // body(context, task, thread) once for every task in [0, tasks), in any order and at once; back
  // when all have returned. Bodies must not throw.
  void Run(int64_t tasks, Body body, void* context);

 private:
  struct Loop {
    Body body = nullptr;
    void* context = nullptr;
    int64_t tasks = 0;
    int64_t chunk = 1;  // tasks taken at a time
    std::atomic<int64_t>* helped = nullptr;
  };

  void Share(int64_t tasks, Body body, void* context, Busy& busy);
  void WaitForHelpers();
  void Help(int thread);
  // Joins an open loop later than number `finished`; false: the pool ends.
  bool Await(uint64_t finished);
  bool TryJoin(uint64_t finished);
  // Takes tasks until none is left, true, or, helping, until there are more threads than cores.
  bool TakeTasks(int thread);
  bool Crowded(uint64_t state) const;
  // A helper goes where there are more threads than cores, unless another just went.
  bool GiveWay();
  void Leave();
  void Left(uint64_t state);

  const int threads_;
  const CpuClock clock_;
  std::atomic<int> busy_{0};         // callers
  std::atomic<bool> shared_{false};  // a loop is open or its helpers are still at it
  Loop loop_;                        // written while nobody helps
  // Number of the loop, whether it is open to helpers, how many help.
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<int64_t> next_{0};  // task

  alignas(64) std::mutex mutex_;
  std::condition_variable wake_;           // helpers
  std::condition_variable done_;           // the caller
  std::atomic<int> sleeping_{0};           // helpers that wait on wake_
  std::atomic<bool> caller_waits_{false};  // on done_
  bool ending_ = false;                    // under mutex_
  std::vector<std::thread> helpers_;
};

// fn(task, thread) for every task in [0, tasks): by the pool's threads, without a pool by the
// caller's.
template <typename Fn>
void ParallelFor(ThreadPool* pool, int64_t tasks, Fn fn) {
  if (pool == nullptr) {
    for (int64_t task = 0; task < tasks; ++task) fn(task, 0);
    return;
  }
  pool->Run(
      tasks,
      [](void* context, int64_t task, int thread) { (*static_cast<Fn*>(context))(task, thread); },
      &fn);
}

// fn(first, last) for parts of [0, count), each of `least` or more where count allows.
template <typename Fn>
void ParallelParts(ThreadPool* pool, int64_t count, int64_t least, Fn fn) {
  constexpr int64_t kPartsPerThread = 4;
  const int64_t most = pool == nullptr ? 1 : pool->threads() * kPartsPerThread;
  const int64_t parts = std::clamp<int64_t>(count / std::max<int64_t>(least, 1), 1, most);
  ParallelFor(pool, parts,
              [&](int64_t part, int) { fn(count * part / parts, count * (part + 1) / parts); });
}

}  // namespace penstock::kernels
