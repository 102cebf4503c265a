#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "tests/mutation/call_mutation.h"

namespace penstock {

// How a call ended.
struct Outcome {
  grpc::Status status;
  // The client went away on purpose: the status is its own.
  bool left = false;
  // There was no status within the caller's patience; the client went away then.
  bool overdue = false;
  size_t answers = 0;
  // Connections that were lost with the call before it got a status: another call's doing, or its
  // own.
  int lost_connections = 0;
  // It was sent often enough, and lost its connection each time.
  bool lost = false;
  // Of the first answer; empty: it is a message of the RPC's type, or there is none.
  std::string broken_answer;
};

// Sends calls, many at once, and waits for the status of each. What a connection took along when it
// was lost is sent again, on a connection of its own.
class MutationCaller {
 public:
  struct Options {
    std::array<std::string, 3> addresses;  // by target
    size_t concurrency = 64;
    // Longest wait for a status, of clients that do not leave before.
    absl::Duration patience = absl::Seconds(60);
    // Calls on one connection before there is another one.
    size_t calls_a_connection = 200;
  };
  // Runs on gRPC's threads, one at a time.
  using OnOutcome = std::function<void(const MutatedCall&, const Outcome&)>;

  MutationCaller(Options options, OnOutcome on_outcome);
  // Waits for all.
  ~MutationCaller();

  // Waits while as many as may be are under way.
  void Send(MutatedCall call);
  // Until none is under way.
  void WaitForAll();

 private:
  class Call;

  std::shared_ptr<grpc::Channel> MakeChannel(Target target) const;
  void Start(const std::shared_ptr<grpc::Channel>& channel, MutatedCall call, int lost_connections);
  void Ended(const std::shared_ptr<Call>& call, const Outcome& outcome);
  // Makes those leave whose time has come.
  void Watch();

  const Options options_;
  const OnOutcome on_outcome_;
  struct Connection {
    std::shared_ptr<grpc::Channel> channel;
    size_t calls = 0;
  };

  std::mutex mutex_;
  std::array<Connection, 3> connections_;  // under mutex_
  std::condition_variable changed_;
  std::set<std::shared_ptr<Call>> calls_;  // under mutex_
  bool stop_ = false;                      // under mutex_
  std::mutex outcome_mutex_;
  std::thread watcher_;
};

}  // namespace penstock
