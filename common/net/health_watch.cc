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
// How long a server whose Watch ended may take to say that it is there: a connection and a call.
constexpr absl::Duration kDoubt = absl::Milliseconds(500);
// A Watch that ends sooner says that the server has trouble, or will not have it.
constexpr absl::Duration kLeastWatch = absl::Milliseconds(100);

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
    : rpc_(std::move(rpc)), on_health_(std::move(on_health)), backoff_(kFirstBackoff) {}

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

void HealthWatch::Watch() { Open(/*wait_for_ready=*/true); }

void HealthWatch::WatchAgain() {
  const uint64_t turn = Open(/*wait_for_ready=*/false);
  rpc_.After(kDoubt, [weak = weak_from_this(), turn] {
    if (const auto self = weak.lock()) self->Doubt(turn);
  });
}

void HealthWatch::Doubt(uint64_t turn) {
  MutexLock notify(notify_mutex_);
  if (heard_ == turn) return;
  {
    MutexLock lock(mutex_);
    if (turn_ != turn) return;
  }
  Tell(false);
}

uint64_t HealthWatch::Open(bool wait_for_ready) {
  uint64_t turn = 0;
  if (!NextTurn(turn)) return turn;
  {
    MutexLock lock(mutex_);
    opened_ = absl::Now();
  }
  CallOptions options;
  options.wait_for_ready = wait_for_ready;
  Keep(turn,
       rpc_.ServerStream(
           kWatchMethod, WholeServer(), options,
           [self = shared_from_this(), turn](const Bytes& answer) { self->Heard(turn, answer); },
           [self = shared_from_this(), turn](const absl::Status& status) {
             self->WatchEnded(turn, status);
           }));
  return turn;
}

void HealthWatch::Heard(uint64_t turn, const Bytes& answer) {
  MutexLock lock(notify_mutex_);
  heard_ = turn;
  Tell(Serves(answer));
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
  Tell(healthy);
}

void HealthWatch::Tell(bool healthy) {
  if (healthy_.exchange(healthy, std::memory_order_relaxed) == healthy) return;
  if (on_health_) on_health_(healthy);
}

void HealthWatch::WatchEnded(uint64_t turn, const absl::Status& status) {
  if (absl::IsUnimplemented(status)) {
    After(absl::ZeroDuration(), &HealthWatch::Check);
    return;
  }
  bool again = false;
  absl::Duration backoff;
  {
    MutexLock notify(notify_mutex_);
    MutexLock lock(mutex_);
    const bool heard = heard_ == turn;
    again = heard && healthy() && absl::Now() - opened_ >= kLeastWatch;
    backoff = heard ? kFirstBackoff : backoff_;
    backoff_ = std::min(backoff * 2, kLastBackoff);
  }
  if (again) {
    WatchAgain();
    return;
  }
  Set(false);
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
