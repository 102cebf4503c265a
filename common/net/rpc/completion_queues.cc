#include "common/net/rpc/completion_queues.h"

#include <utility>

namespace penstock {
namespace {

// The lane that the current thread runs.
thread_local const CompletionQueues* this_thread_queues = nullptr;
thread_local size_t this_thread_lane = 0;

}  // namespace

CompletionQueues::CompletionQueues(std::vector<std::unique_ptr<grpc::CompletionQueue>> queues) {
  for (auto& queue : queues) {
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->queue = std::move(queue);
  }
  for (size_t lane = 0; lane < lanes_.size(); ++lane) {
    lanes_[lane]->thread = std::thread([this, lane] { Run(lane); });
  }
}

CompletionQueues::~CompletionQueues() { Shutdown(); }

size_t CompletionQueues::Pick() {
  if (this_thread_queues == this) return this_thread_lane;
  return turn_.fetch_add(1, std::memory_order_relaxed) % lanes_.size();
}

// Sequentially consistent on both sides: a starter that saw the lane open is seen by Shutdown.
CompletionQueues::Start::Start(CompletionQueues& queues, size_t lane)
    : starting_(queues.lanes_[lane]->starting),
      open_((starting_.fetch_add(1), !queues.lanes_[lane]->closed.load())) {}

CompletionQueues::Start::~Start() { starting_.fetch_sub(1); }

void CompletionQueues::Link(size_t lane, PendingCall& call) {
  Lane& to = *lanes_[lane];
  MutexLock lock(to.mutex);
  call.next_ = to.pending;
  if (to.pending != nullptr) to.pending->previous_ = &call;
  to.pending = &call;
}

void CompletionQueues::Unlink(size_t lane, PendingCall& call) {
  Lane& from = *lanes_[lane];
  MutexLock lock(from.mutex);
  if (call.previous_ != nullptr) {
    call.previous_->next_ = call.next_;
  } else {
    from.pending = call.next_;
  }
  if (call.next_ != nullptr) call.next_->previous_ = call.previous_;
  call.previous_ = call.next_ = nullptr;
}

void CompletionQueues::Shutdown() {
  if (shut_down_.exchange(true)) return;
  for (auto& lane : lanes_) {
    lane->closed.store(true);
    while (lane->starting.load() != 0) std::this_thread::yield();
    {
      MutexLock lock(lane->mutex);
      for (PendingCall* call = lane->pending; call != nullptr; call = call->next_) {
        call->CancelPending();
      }
    }
    lane->queue->Shutdown();
  }
  for (auto& lane : lanes_) lane->thread.join();
}

void CompletionQueues::Run(size_t lane) {
  this_thread_queues = this;
  this_thread_lane = lane;
  grpc::CompletionQueue& queue = *lanes_[lane]->queue;
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
    TakeFromGrpc(tag);
    static_cast<QueueEvent*>(tag)->OnEvent(ok);
  }
}

}  // namespace penstock
