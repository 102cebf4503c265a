#include "common/net/health_watch.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "grpc/health/v1/health.pb.h"

namespace penstock {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kLastBackoff = absl::Seconds(1);
constexpr absl::Duration kCheckInterval = absl::Seconds(1);
constexpr absl::Duration kCheckTimeout = absl::Seconds(2);

constexpr char kWatchMethod[] = "/grpc.health.v1.Health/Watch";
constexpr char kCheckMethod[] = "/grpc.health.v1.Health/Check";

// A server that knows nothing of "the whole server" says nothing against itself.
bool Serves(const Bytes& answer) {
  const auto response = RpcClient::Parse<HealthCheckResponse>(answer);
  return response.ok() && (response->status() == HealthCheckResponse::SERVING ||
                           response->status() == HealthCheckResponse::SERVICE_UNKNOWN);
}

Bytes WholeServer() { return Bytes(HealthCheckRequest().SerializeAsString()); }

}  // namespace

HealthWatch::HealthWatch(RpcClient rpc, absl::AnyInvocable<void(bool)> on_health)
    : rpc_(std::move(rpc)),
      on_health_(std::move(on_health)),
      backoff_(kFirstBackoff) {}

void HealthWatch::Start() { Watch(); }

void HealthWatch::Stop() {
  {
    MutexLock lock(notify_mutex_);
    on_health_ = nullptr;
  }
  std::shared_ptr<OutgoingCall> call;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    call = std::move(call_);
  }
  if (call != nullptr) call->Cancel();
}

bool HealthWatch::NextTurn(uint64_t& turn) {
  MutexLock lock(mutex_);
  turn = ++turn_;
  return !stopped_;
}

void HealthWatch::Keep(uint64_t turn, std::shared_ptr<OutgoingCall> call) {
  {
    MutexLock lock(mutex_);
    if (turn != turn_) return;  // over, and the next one has begun
    if (!stopped_) {
      call_ = std::move(call);
      return;
    }
  }
  call->Cancel();
}

void HealthWatch::Watch() {
  uint64_t turn = 0;
  if (!NextTurn(turn)) return;
  CallOptions options;
  options.wait_for_ready = true;
  auto heard = std::make_shared<bool>(false);
  Keep(turn, rpc_.ServerStream(
      kWatchMethod, WholeServer(), options,
      [self = shared_from_this(), heard](const Bytes& answer) {
        *heard = true;
        self->Set(Serves(answer));
      },
      [self = shared_from_this(), heard](const absl::Status& status) {
        self->WatchEnded(status, *heard);
      }));
}

void HealthWatch::Check() {
  uint64_t turn = 0;
  if (!NextTurn(turn)) return;
  CallOptions options;
  options.deadline = absl::Now() + kCheckTimeout;
  Keep(turn, rpc_.Unary(kCheckMethod, WholeServer(), options,
                        [self = shared_from_this()](const InferReply& reply) {
                          self->CheckEnded(reply);
                        }));
}

void HealthWatch::After(absl::Duration delay, void (HealthWatch::*next)()) {
  uint64_t turn = 0;
  if (!NextTurn(turn)) return;
  Keep(turn, rpc_.After(delay, [self = shared_from_this(), next] { ((*self).*next)(); }));
}

void HealthWatch::Set(bool healthy) {
  MutexLock lock(notify_mutex_);
  if (healthy_.exchange(healthy, std::memory_order_relaxed) == healthy) return;
  if (on_health_) on_health_(healthy);
}

void HealthWatch::WatchEnded(const absl::Status& status, bool heard) {
  if (absl::IsUnimplemented(status)) {
    After(absl::ZeroDuration(), &HealthWatch::Check);
    return;
  }
  Set(false);
  absl::Duration backoff;
  {
    MutexLock lock(mutex_);
    backoff = heard ? kFirstBackoff : backoff_;
    backoff_ = std::min(backoff * 2, kLastBackoff);
  }
  After(backoff, &HealthWatch::Watch);
}

void HealthWatch::CheckEnded(const InferReply& reply) {
  switch (reply.status.code()) {
    case absl::StatusCode::kOk:
      Set(Serves(reply.body));
      break;
    case absl::StatusCode::kUnimplemented:  // no such service
    case absl::StatusCode::kNotFound:       // none that covers the whole server
      Set(true);
      break;
    default:
      Set(false);
      // What comes back may be another server.
      After(kFirstBackoff, &HealthWatch::Watch);
      return;
  }
  After(kCheckInterval, &HealthWatch::Check);
}

}  // namespace penstock
