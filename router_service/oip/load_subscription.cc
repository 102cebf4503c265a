#include "router_service/oip/load_subscription.h"

#include <algorithm>
#include <utility>

namespace penstock::router {
namespace {

constexpr absl::Duration kPause = absl::Seconds(1);
// Other people's servers have no such method, until they are replaced.
constexpr absl::Duration kPauseOfStrangers = absl::Seconds(60);

}  // namespace

void LoadSubscription::Add(Sink sink) {
  {
    MutexLock lock(mutex_);
    sinks_.push_back(std::move(sink));
    if (open_ || stopped_) return;
    open_ = true;
  }
  Open();
}

void LoadSubscription::Stop() {
  std::shared_ptr<OutgoingCall> stream;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    sinks_.clear();
    stream = std::move(stream_);
  }
  if (stream != nullptr) stream->Cancel();
}

void LoadSubscription::Open() {
  {
    MutexLock lock(mutex_);
    if (sinks_.empty()) {
      open_ = false;
      return;
    }
  }
  const v1::WatchLoadRequest request;  // as often as the endpoint likes
  std::shared_ptr<OutgoingCall> stream = rpc_.ServerStream(
      "/penstock.v1.ExpertControl/WatchLoad", Bytes(request.SerializeAsString()), CallOptions(),
      [weak = weak_from_this()](Bytes message) {
        if (const auto self = weak.lock()) self->OnLoad(message);
      },
      [weak = weak_from_this()](absl::Status status) {
        if (const auto self = weak.lock()) self->OnEnd(status);
      });
  {
    MutexLock lock(mutex_);
    if (!stopped_) {
      stream_ = std::move(stream);
      return;
    }
  }
  if (stream != nullptr) stream->Cancel();
}

void LoadSubscription::OnLoad(const Bytes& message) {
  const absl::StatusOr<v1::Load> load = RpcClient::Parse<v1::Load>(message);
  if (!load.ok()) return;
  std::shared_ptr<OutgoingCall> unwanted;
  {
    MutexLock lock(mutex_);
    sinks_.erase(std::remove_if(sinks_.begin(), sinks_.end(),
                                [&](const Sink& sink) { return !sink(*load); }),
                 sinks_.end());
    if (sinks_.empty()) unwanted = std::move(stream_);
  }
  if (unwanted != nullptr) unwanted->Cancel();
}

void LoadSubscription::OnEnd(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    if (sinks_.empty()) {
      open_ = false;
      return;
    }
  }
  rpc_.After(absl::IsUnimplemented(status) ? kPauseOfStrangers : kPause, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Open();
  });
}

}  // namespace penstock::router
