#pragma once

#include <memory>
#include <set>
#include <vector>

#include "common/mutex.h"

namespace penstock {

// The streams of a service that are open: a drain ends them, which would otherwise last as their
// clients wish. Stream::End() must be harmless when called again. Thread-safe.
template <class Stream>
class OpenStreams {
 public:
  // One that comes after EndAll is ended at once.
  void Add(const std::shared_ptr<Stream>& stream) {
    bool end = false;
    {
      MutexLock lock(mutex_);
      streams_.insert(stream);
      end = ended_;
    }
    if (end) stream->End();
  }

  void Remove(const std::shared_ptr<Stream>& stream) {
    MutexLock lock(mutex_);
    streams_.erase(stream);
  }

  std::vector<std::shared_ptr<Stream>> All() const {
    MutexLock lock(mutex_);
    return Held();
  }

  void EndAll() {
    std::vector<std::shared_ptr<Stream>> open;
    {
      MutexLock lock(mutex_);
      ended_ = true;
      open = Held();
    }
    for (const std::shared_ptr<Stream>& stream : open) stream->End();
  }

 private:
  std::vector<std::shared_ptr<Stream>> Held() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<std::shared_ptr<Stream>> held;
    for (const std::weak_ptr<Stream>& weak : streams_) {
      if (auto stream = weak.lock()) held.push_back(std::move(stream));
    }
    return held;
  }

  mutable Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::weak_ptr<Stream>, std::owner_less<>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
