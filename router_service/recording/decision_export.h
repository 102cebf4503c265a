#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::router {

// Appends decisions to a file, one JSON object a line with the proto's field names, on a thread of
// its own behind a bounded queue. What does not fit the queue is dropped and counted. Thread-safe.
class DecisionExport {
 public:
  static constexpr size_t kQueue = 8192;

  static absl::StatusOr<std::unique_ptr<DecisionExport>> Open(const std::string& path,
                                                              size_t queue = kQueue);
  // Writes what is queued.
  ~DecisionExport();

  void Append(std::shared_ptr<const v1::Decision> decision);
  // Dropped at a full queue, or not written by the file system.
  uint64_t dropped() const;

 private:
  DecisionExport(std::FILE* file, size_t queue);
  void Run();

  std::FILE* const file_;
  const size_t capacity_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<std::shared_ptr<const v1::Decision>> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace penstock::router
