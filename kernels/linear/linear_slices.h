#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernels/device/status.h"
#include "kernels/device/thread_pool.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {

using LinearEntry = Status (*)(const LinearArgs&);

// Threads of a call and the scratch memory of each.
struct ThreadScratch {
  ThreadPool* pool = nullptr;  // null: the caller's thread alone
  char* data = nullptr;
  size_t bytes = 0;  // a thread

  Workspace Of(int thread) const { return {data + bytes * static_cast<size_t>(thread), bytes}; }
};

// The pool, if `workspace` is `wanted` bytes or more for all its threads; null otherwise.
template <typename Wanted>
ThreadPool* PoolWithRoom(const Workspace& workspace, const Wanted& wanted) {
  ThreadPool* pool = workspace.pool;
  return pool != nullptr && workspace.bytes >= wanted(pool->threads()) ? pool : nullptr;
}

// The first of several threads' failures.
class SharedStatus {
 public:
  void Note(const Status& status) {
    if (!status.ok() && !failed_.exchange(true)) status_ = status;
  }
  // After all have returned.
  Status status() const { return status_; }

 private:
  std::atomic<bool> failed_{false};
  Status status_;
};

// args for its output columns [first, last); first is a multiple of kPanelColumns.
LinearArgs LinearColumns(LinearArgs args, int64_t first, int64_t last);

// args for its rows [first, last).
LinearArgs LinearRows(LinearArgs args, int64_t first, int64_t last);

// Whether so many rows are worth waking a thread for.
bool LinearWorthSharing(const LinearWeights& w, int64_t rows);

// Columns of a slice where `products` products of such a matrix, `rows` rows together, run on so
// many threads.
int64_t LinearSliceColumns(const LinearWeights& w, int64_t rows, int64_t products, int threads);

// Products whose matrices share a shape, `rows` rows together: at(i) is the i-th's arguments, its
// workspace left out. Threads share them out by product and slice of output columns, never over k.
template <typename At>
Status RunLinears(int64_t products, int64_t rows, const ThreadScratch& scratch, LinearEntry entry,
                  const At& at) {
  if (products == 0) return {};
  const LinearWeights shape = at(0).w;
  ThreadPool* pool = LinearWorthSharing(shape, rows) ? scratch.pool : nullptr;
  const int64_t width =
      LinearSliceColumns(shape, rows, products, pool != nullptr ? pool->threads() : 1);
  const int64_t slices = width > 0 ? (shape.out + width - 1) / width : 1;
  SharedStatus shared;
  ParallelFor(pool, products * slices, [&](int64_t task, int thread) {
    LinearArgs args = at(task / slices);
    args.workspace = scratch.Of(thread);
    const int64_t first = task % slices * width;
    shared.Note(entry(LinearColumns(args, first, std::min(first + width, shape.out))));
  });
  return shared.status();
}

}  // namespace penstock::kernels
