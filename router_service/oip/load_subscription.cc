#include "router_service/oip/load_subscription.h"

#include <algorithm>
#include <utility>

namespace penstock::router {
namespace {

constexpr absl::Duration kPause = absl::Seconds(1);
// Other people's servers have no such method, until they are replaced.
constexpr absl::Duration kPauseOfStrangers = absl::Seconds(60);

}  // namespace

bool LoadSubscription::Forget() {
  listeners_.erase(
      std::remove_if(listeners_.begin(), listeners_.end(),
                     [](const Listener& listener) { return listener.alive.expired(); }),
      listeners_.end());
  return !listeners_.empty();
}

void LoadSubscription::Add(std::weak_ptr<const void> listener, Sink sink) {
  {
    MutexLock lock(mutex_);
    Forget();
    listeners_.push_back({std::move(listener), std::make_shared<const Sink>(std::move(sink))});
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
    listeners_.clear();
    stream = std::move(stream_);
  }
  if (stream != nullptr) stream->Cancel();
}

void LoadSubscription::Open() {
  {
    MutexLock lock(mutex_);
    if (!Forget()) {
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
  std::vector<std::pair<std::shared_ptr<const void>, std::shared_ptr<const Sink>>> told;
  {
    MutexLock lock(mutex_);
    for (const Listener& listener : listeners_) {
      if (auto alive = listener.alive.lock()) told.emplace_back(std::move(alive), listener.sink);
    }
  }
  for (const auto& [alive, sink] : told) (*sink)(*load);
  told.clear();
  std::shared_ptr<OutgoingCall> unwanted;
  {
    MutexLock lock(mutex_);
    if (!Forget()) unwanted = std::move(stream_);
  }
  if (unwanted != nullptr) unwanted->Cancel();
}

void LoadSubscription::OnEnd(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    if (!Forget()) {
      open_ = false;
      return;
    }
  }
  rpc_.After(absl::IsUnimplemented(status) ? kPauseOfStrangers : kPause, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Open();
  });
}

}  // namespace penstock::router
