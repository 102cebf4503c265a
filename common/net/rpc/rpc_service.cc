#include "common/net/rpc/rpc_service.h"

#include <grpcpp/impl/rpc_service_method.h>

#include <utility>

namespace penstock {

// A method that waits for its next call on one queue.
class RpcService::Awaited final : public QueueEvent {
 public:
  Awaited(RpcService& service, size_t method, CompletionQueues& queues, size_t lane,
          const CallerPolicy& callers)
      : service_(service),
        method_(method),
        queues_(queues),
        lane_(lane),
        callers_(callers),
        arrival_(std::make_unique<RpcArrival>(queues, lane, callers)) {}

  // Deletes itself when the call comes, or the server shuts down.
  void Start() {
    // The queue is both: where the call's events and where its arrival go.
    auto* queue = static_cast<grpc::ServerCompletionQueue*>(queues_.queue(lane_));
    arrival_->context_.AsyncNotifyWhenDone(arrival_->over_.Tag());
    service_.RequestAsyncBidiStreaming(static_cast<int>(method_), &arrival_->context_,
                                       &arrival_->stream_, queue, queue, Tag());
  }

  void OnEvent(bool ok) override {
    const std::unique_ptr<Awaited> last(this);
    if (!ok) return;
    service_.ArmOne(method_, queues_, lane_, callers_);
    service_.open_[method_](std::move(arrival_));
  }

 private:
  RpcService& service_;
  const size_t method_;
  CompletionQueues& queues_;
  const size_t lane_;
  const CallerPolicy& callers_;
  std::unique_ptr<RpcArrival> arrival_;
};

void RpcService::Arm(CompletionQueues& queues, const CallerPolicy& callers) {
  for (size_t method = 0; method < open_.size(); ++method) {
    if (!open_[method]) continue;
    for (size_t lane = 0; lane < queues.size(); ++lane) ArmOne(method, queues, lane, callers);
  }
}

void RpcService::ArmOne(size_t method, CompletionQueues& queues, size_t lane,
                        const CallerPolicy& callers) {
  const CompletionQueues::Start start(queues, lane);
  if (start) (new Awaited(*this, method, queues, lane, callers))->Start();
}

// On the wire all kinds of RPC are streams of messages both ways.
void RpcService::AddMethod(const char* path, Open open) {
  Register(path, grpc::internal::RpcMethod::BIDI_STREAMING, std::move(open));
}

int RpcService::AddRawUnary(const char* path) {
  Register(path, grpc::internal::RpcMethod::NORMAL_RPC, nullptr);
  return static_cast<int>(open_.size()) - 1;
}

void RpcService::Register(const char* path, grpc::internal::RpcMethod::RpcType type, Open open) {
  grpc::Service::AddMethod(new grpc::internal::RpcServiceMethod(path, type, nullptr));
  MarkMethodAsync(static_cast<int>(open_.size()));
  open_.push_back(std::move(open));
}

}  // namespace penstock
