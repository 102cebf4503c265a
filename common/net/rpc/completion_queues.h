#pragma once

#include <grpcpp/completion_queue.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "common/mutex.h"
#include "common/net/rpc/grpc_handoff.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

// What a completion queue's tag points to.
class QueueEvent {
 public:
  // What to start an operation with; asked for when all that OnEvent needs has been written.
  void* Tag() {
    HandToGrpc(this);
    return this;
  }

  virtual void OnEvent(bool ok) = 0;

 protected:
  ~QueueEvent() = default;
};

// A call that went out and is not over: linked so that shutdown can cancel it.
class PendingCall {
 public:
  virtual void CancelPending() = 0;

 protected:
  ~PendingCall() = default;

 private:
  friend class CompletionQueues;
  PendingCall* previous_ = nullptr;
  PendingCall* next_ = nullptr;
};

// Completion queues with one thread each that runs QueueEvents.
class CompletionQueues {
 public:
  explicit CompletionQueues(std::vector<std::unique_ptr<grpc::CompletionQueue>> queues);
  ~CompletionQueues();

  size_t size() const { return lanes_.size(); }
  grpc::CompletionQueue* queue(size_t lane) { return lanes_[lane]->queue.get(); }
  // The lane whose thread asks, else the next in turn.
  size_t Pick();

  // Held while an operation is started on a lane: gRPC aborts when that happens after the queue's
  // shutdown.
  class Start {
   public:
    Start(CompletionQueues& queues, size_t lane);
    ~Start();
    Start(const Start&) = delete;
    Start& operator=(const Start&) = delete;
    // False: the queue is shut down, nothing may be started.
    explicit operator bool() const { return open_; }

   private:
    std::atomic<int>& starting_;
    const bool open_;
  };

  void Link(size_t lane, PendingCall& call);
  void Unlink(size_t lane, PendingCall& call);

  // Cancels the linked calls, runs every event that is due, ends the threads. Not from one of them.
  void Shutdown();

 private:
  struct Lane {
    std::unique_ptr<grpc::CompletionQueue> queue;
    std::atomic<bool> closed{false};
    std::atomic<int> starting{0};
    Mutex mutex;
    PendingCall* pending ABSL_GUARDED_BY(mutex) = nullptr;
    std::thread thread;
  };

  void Run(size_t lane);

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<size_t> turn_{0};
  std::atomic<bool> shut_down_{false};
};

}  // namespace penstock
