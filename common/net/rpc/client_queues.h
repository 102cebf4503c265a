#pragma once

#include <memory>

namespace penstock {

class CompletionQueues;

// The completion queues that calls to other services wait on, and the threads that poll them. A
// call started on one of the threads stays on that thread. Thread-safe. Must outlive the calls'
// callers; destruction cancels what is under way and runs its callbacks.
class ClientQueues {
 public:
  // `threads` queues with a thread each: for programs without an OipServer (the command line,
  // tests).
  explicit ClientQueues(int threads);
  // Shares the threads of a server: a request and what is forwarded for it meet on one thread.
  explicit ClientQueues(std::shared_ptr<CompletionQueues> queues);
  ~ClientQueues();
  ClientQueues(const ClientQueues&) = delete;
  ClientQueues& operator=(const ClientQueues&) = delete;

  const std::shared_ptr<CompletionQueues>& queues() const { return queues_; }

 private:
  const std::shared_ptr<CompletionQueues> queues_;
  const bool owned_;
};

}  // namespace penstock
