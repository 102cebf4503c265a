#include "common/net/rpc/server_rpc.h"

#include <utility>

namespace penstock {

RpcArrival::RpcArrival(CompletionQueues& queues, size_t lane, const CallerPolicy& callers)
    : queues_(queues),
      lane_(lane),
      callers_(callers),
      stream_(&context_),
      over_(*this, &RpcArrival::OnOver),
      headers_(*this, &RpcArrival::OnHeaders),
      read_(*this, &RpcArrival::OnRead),
      written_(*this, &RpcArrival::OnWritten),
      finished_(*this, &RpcArrival::OnFinished) {}

void RpcArrival::OnOver(bool /*ok*/) {
  if (context_.IsCancelled()) served_by_->OnCancel();
  Unref();
}

void RpcArrival::OnHeaders(bool /*ok*/) { Unref(); }

void RpcArrival::OnRead(bool ok) {
  served_by_->OnReadDone(ok);
  Unref();
}

void RpcArrival::OnWritten(bool ok) {
  served_by_->OnWriteDone(ok);
  Unref();
}

void RpcArrival::OnFinished(bool /*ok*/) { Unref(); }

void RpcArrival::Unref() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) served_by_->OnDone();
}

ServerRpc::ServerRpc(std::unique_ptr<RpcArrival> arrival) : arrival_(std::move(arrival)) {
  arrival_->served_by_ = this;
}

void ServerRpc::SendHeaders() {
  RpcArrival& rpc = *arrival_;
  const CompletionQueues::Start start(rpc.queues_, rpc.lane_);
  if (!start) return;
  rpc.references_.fetch_add(1, std::memory_order_relaxed);
  rpc.stream_.SendInitialMetadata(rpc.headers_.Tag());
}

void ServerRpc::StartRead(grpc::ByteBuffer& message) {
  RpcArrival& rpc = *arrival_;
  {
    const CompletionQueues::Start start(rpc.queues_, rpc.lane_);
    if (start) {
      rpc.references_.fetch_add(1, std::memory_order_relaxed);
      rpc.stream_.Read(&message, rpc.read_.Tag());
      return;
    }
  }
  OnReadDone(false);
}

void ServerRpc::StartWrite(const grpc::ByteBuffer& message) {
  RpcArrival& rpc = *arrival_;
  {
    const CompletionQueues::Start start(rpc.queues_, rpc.lane_);
    if (start) {
      rpc.references_.fetch_add(1, std::memory_order_relaxed);
      rpc.stream_.Write(message, rpc.written_.Tag());
      return;
    }
  }
  OnWriteDone(false);
}

void ServerRpc::Finish(const grpc::Status& status) {
  RpcArrival& rpc = *arrival_;
  {
    const CompletionQueues::Start start(rpc.queues_, rpc.lane_);
    if (start) {
      rpc.stream_.Finish(status, rpc.finished_.Tag());
      return;
    }
  }
  rpc.OnFinished(false);
}

void ServerRpc::WriteAndFinish(const grpc::ByteBuffer& message) {
  RpcArrival& rpc = *arrival_;
  {
    const CompletionQueues::Start start(rpc.queues_, rpc.lane_);
    if (start) {
      rpc.stream_.WriteAndFinish(message, grpc::WriteOptions(), grpc::Status(), rpc.finished_.Tag());
      return;
    }
  }
  rpc.OnFinished(false);
}

}  // namespace penstock
