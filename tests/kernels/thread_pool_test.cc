#include "kernels/device/thread_pool.h"

#include <gtest/gtest.h>
#include <time.h>

#include <set>
#include <thread>
#include <vector>

namespace penstock::kernels {
namespace {

// Waits for others, which it lets run.
template <typename Condition>
void Until(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

TEST(ThreadPoolTest, RunsEveryTaskOnce) {
  for (int threads : {1, 2, 3, 5, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t tasks : {0, 1, 2, 7, 64, 1000, 4099}) {
      std::vector<int> runs(static_cast<size_t>(tasks));  // a race here is the sanitizer's to find
      ParallelFor(&pool, tasks, [&](int64_t task, int thread) {
        EXPECT_LT(thread, threads);
        ++runs[static_cast<size_t>(task)];
      });
      EXPECT_EQ(runs, std::vector<int>(static_cast<size_t>(tasks), 1)) << threads;
    }
  }
}

TEST(ThreadPoolTest, WithoutAPoolTheCallerRunsAllInOrder) {
  std::vector<int64_t> ran;
  ParallelFor(nullptr, 5, [&](int64_t task, int thread) {
    EXPECT_EQ(thread, 0);
    ran.push_back(task);
  });
  EXPECT_EQ(ran, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

// As many tasks as threads, each of which ends when all have begun.
TEST(ThreadPoolTest, AllThreadsHelpAtOnceEachUnderItsOwnNumber) {
  ThreadPool pool(4);
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> begun{0};
    std::vector<int> numbers(4);
    ParallelFor(&pool, 4, [&](int64_t task, int thread) {
      numbers[static_cast<size_t>(task)] = thread;
      begun.fetch_add(1);
      Until([&] { return begun.load() == 4; });
    });
    EXPECT_EQ(std::set<int>(numbers.begin(), numbers.end()), (std::set<int>{0, 1, 2, 3}));
  }
}

TEST(ThreadPoolTest, PartsCoverTheCountAndAreNotSmallerThanAsked) {
  ThreadPool pool(3);
  for (int64_t count : {0, 1, 9, 10, 1001}) {
    std::vector<int> seen(static_cast<size_t>(count));
    ParallelParts(&pool, count, 10, [&](int64_t first, int64_t last) {
      EXPECT_GE(last - first, std::min<int64_t>(count, 10));
      for (int64_t i = first; i < last; ++i) ++seen[static_cast<size_t>(i)];
    });
    EXPECT_EQ(seen, std::vector<int>(static_cast<size_t>(count), 1));
  }
}

TEST(ThreadPoolTest, LoopsWithinLoopsRunInTheirThread) {
  ThreadPool pool(3);
  std::vector<int64_t> sums(20);
  ParallelFor(&pool, 20, [&](int64_t task, int) {
    const std::thread::id self = std::this_thread::get_id();
    ParallelFor(&pool, 50, [&](int64_t inner, int thread) {
      EXPECT_EQ(thread, 0);
      EXPECT_EQ(std::this_thread::get_id(), self);
      sums[static_cast<size_t>(task)] += inner;
    });
  });
  EXPECT_EQ(sums, std::vector<int64_t>(20, 49 * 50 / 2));
}

TEST(ThreadPoolTest, SeveralCallersEachGetTheirOwnTasksDone) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<int64_t> total{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        std::vector<int64_t> squares(33);
        ParallelFor(&pool, 33,
                    [&](int64_t task, int) { squares[static_cast<size_t>(task)] = task * task; });
        for (int64_t square : squares) total.fetch_add(square);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total.load(), 4 * 200 * (32 * 33 * 65 / 6));
}

// The other caller is busy from the first task on: no helper may come while it is.
TEST(ThreadPoolTest, HelpersStayAwayWhereEveryCoreHasACaller) {
  ThreadPool pool(2);
  std::atomic<bool> begun{false}, end{false};
  std::thread other([&] {
    const ThreadPool::Busy busy(pool);
    begun.store(true);
    Until([&] { return end.load(); });
  });
  Until([&] { return begun.load(); });
  for (int round = 0; round < 100; ++round) {
    ParallelFor(&pool, 50, [&](int64_t, int thread) { EXPECT_EQ(thread, 0); });
  }
  end.store(true);
  other.join();
}

// The helper has begun; then another caller comes, and all further tasks are the caller's.
TEST(ThreadPoolTest, AHelperLeavesWhenAnotherCallerComes) {
  ThreadPool pool(2);
  std::atomic<bool> helping{false}, end{false};
  std::atomic<int> after{0};
  std::thread other;
  int64_t helped = 0;
  ParallelFor(&pool, 1000, [&](int64_t, int thread) {
    if (thread == 1) {
      ++helped;
      helping.store(true);
      Until([&] { return after.load() > 0; });
      return;
    }
    Until([&] { return helping.load(); });
    if (after.load() > 0) return;
    other = std::thread([&] {
      const ThreadPool::Busy busy(pool);
      after.store(1);
      Until([&] { return end.load(); });
    });
    Until([&] { return after.load() > 0; });
  });
  end.store(true);
  other.join();
  // One chunk: 1000 / (2 threads * 16).
  EXPECT_EQ(helped, 31);
}

int64_t ThreadNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1000000000 + now.tv_nsec;
}

TEST(ThreadPoolTest, TellsWhatHelpersSpentToWhomTheyHelped) {
  ThreadPool pool(2, ThreadNanoseconds);
  const ThreadPool::Busy busy(pool);
  std::atomic<bool> helped{false};
  EXPECT_EQ(busy.helped_nanoseconds(), 0);
  ParallelFor(&pool, 2, [&](int64_t, int thread) {
    if (thread == 0) return Until([&] { return helped.load(); });
    const int64_t start = ThreadNanoseconds();
    Until([&] { return ThreadNanoseconds() - start > 2000000; });
    helped.store(true);
  });
  EXPECT_GT(busy.helped_nanoseconds(), 2000000);
}

}  // namespace
}  // namespace penstock::kernels
