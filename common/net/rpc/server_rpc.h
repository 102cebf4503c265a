#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "common/net/caller_policy.h"
#include "common/net/rpc/completion_queues.h"

// For .cc files: includes gRPC.

namespace penstock {

class ServerRpc;

// gRPC's side of one RPC of a server: it waits on a completion queue before anyone serves it, and
// ends with the ServerRpc that does.
class RpcArrival {
 public:
  RpcArrival(CompletionQueues& queues, size_t lane, const CallerPolicy& callers);

  const grpc::ServerContext& context() const { return context_; }
  const CallerPolicy& callers() const { return callers_; }

 private:
  friend class RpcService;
  friend class ServerRpc;

  class Event final : public QueueEvent {
   public:
    Event(RpcArrival& rpc, void (RpcArrival::*on_event)(bool ok))
        : rpc_(rpc), on_event_(on_event) {}
    void OnEvent(bool ok) override { (rpc_.*on_event_)(ok); }

   private:
    RpcArrival& rpc_;
    void (RpcArrival::*const on_event_)(bool ok);
  };

  void OnOver(bool ok);
  void OnHeaders(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  void Unref();

  CompletionQueues& queues_;
  const size_t lane_;
  const CallerPolicy& callers_;
  ServerRpc* served_by_ = nullptr;
  // Events that will come: over_ and finished_ once each, the others while they are under way.
  std::atomic<int> references_{2};
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_;
  Event over_;
  Event headers_;
  Event read_;
  Event written_;
  Event finished_;
};

// One RPC that a server serves, of any kind, as bytes. Subclasses start operations from any thread,
// one of a kind at a time; reactions run one after another on the thread of one completion queue.
// An operation that the queue takes no more, since the server has shut down, fails before it
// returns: start none with a lock held that a reaction takes.
class ServerRpc {
 public:
  explicit ServerRpc(std::unique_ptr<RpcArrival> arrival);
  virtual ~ServerRpc() = default;
  ServerRpc(const ServerRpc&) = delete;
  ServerRpc& operator=(const ServerRpc&) = delete;

 protected:
  const grpc::ServerContext& context() const { return arrival_->context(); }
  const CallerPolicy& callers() const { return arrival_->callers(); }

  // The client learns that it is served before the first message.
  void SendHeaders();
  void StartRead(grpc::ByteBuffer& message);
  void StartWrite(const grpc::ByteBuffer& message);
  // Exactly once, also after OnCancel.
  void Finish(const grpc::Status& status);
  void WriteAndFinish(const grpc::ByteBuffer& message);
  // What is under way fails.
  void Cancel() { arrival_->context_.TryCancel(); }
  // In a reaction, with nothing else under way: another one serves the rest.
  std::unique_ptr<RpcArrival> HandOver() { return std::move(arrival_); }

  virtual void OnReadDone(bool /*ok*/) {}
  virtual void OnWriteDone(bool /*ok*/) {}
  // The client went away or the deadline passed.
  virtual void OnCancel() {}
  // The last reaction; may destroy this.
  virtual void OnDone() = 0;

 private:
  friend class RpcArrival;
  std::unique_ptr<RpcArrival> arrival_;
};

// An RPC that ends before it began.
class RefusedRpc final : public ServerRpc {
 public:
  static void Open(std::unique_ptr<RpcArrival> arrival, const grpc::Status& status) {
    (new RefusedRpc(std::move(arrival)))->Finish(status);
  }

 private:
  using ServerRpc::ServerRpc;
  void OnDone() override { delete this; }
};

}  // namespace penstock
