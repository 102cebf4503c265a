#include "gateway/oip/infer_forwarding.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/logging/request_log.h"
#include "common/mutex.h"
#include "common/tensors/infer_message.h"
#include "common/tracing/infer_trace.h"
#include "gateway/caching/kept_answer.h"
#include "gateway/forwarding/deadline_rounding.h"
#include "gateway/oip/request_span.h"

namespace penstock::gateway {
namespace {

// W3C Trace Context, section 3.2: 55 characters in version 00.
constexpr size_t kMaxTraceparent = 128;

// What a header value may be. gRPC aborts the process of whoever sends another one on.
bool IsPrintable(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

}  // namespace

Metadata TrustedMetadata(const Principal& principal, const Metadata& from_caller,
                         absl::string_view request_id) {
  Metadata metadata;
  metadata.emplace_back(kTenantMetadata, principal.tenant);
  metadata.emplace_back(kRightsMetadata, principal.rights.ToMetadata());
  metadata.emplace_back(kPriorityMetadata, absl::StrCat(principal.priority));
  metadata.emplace_back(kRequestIdMetadata, std::string(request_id));
  const absl::string_view trace = FindMetadata(from_caller, kTraceparentMetadata);
  if (!trace.empty() && trace.size() <= kMaxTraceparent && IsPrintable(trace)) {
    metadata.emplace_back(kTraceparentMetadata, std::string(trace));
  }
  return metadata;
}

// One request from arrival to answer. Alive while the admission queue, the forwarder or the call's
// cancel handler holds it.
class InferForwarding::Request final : public std::enable_shared_from_this<Request> {
 public:
  Request(const Deps& deps, std::shared_ptr<IncomingCall> call, uint64_t sequence)
      : deps_(deps),
        call_(std::move(call)),
        request_id_(absl::StrCat(deps.instance, "-", sequence)),
        arrived_(deps.clock.Now()),
        trace_(deps.tracer, *call_, arrived_) {}

  void Start() {
    // Who asks comes before what: a stranger learns nothing of how bytes are read.
    absl::StatusOr<Principal> principal = deps_.authenticator.Admit(call_->metadata(), "");
    if (!principal.ok()) return Refuse(principal.status());
    principal_ = *std::move(principal);
    absl::StatusOr<std::string> pool = ScanModelName(call_->request());
    if (!pool.ok()) return Refuse(pool.status());
    pool_ = *std::move(pool);
    if (absl::Status allowed = Authenticator::CheckPool(principal_, pool_); !allowed.ok()) {
      return Refuse(std::move(allowed));
    }
    absl::Duration retry_after;
    auto place = deps_.quotas.Take(principal_.tenant, principal_.quota, retry_after);
    if (!place.ok()) {
      deps_.observer.Shed(pool_, ShedReason::kQuota);
      return Refuse(place.status(), retry_after);
    }
    place_ = *std::move(place);
    auto self = shared_from_this();
    call_->SetCancelHandler([self] { self->Cancel(); });
    const Admission::WaiterId waiter = deps_.admission.Enter(
        {pool_, principal_.tenant, principal_.priority, call_->deadline()},
        [self](absl::StatusOr<Admission::Ticket> ticket, absl::Duration refused_for) {
          self->OnAdmitted(std::move(ticket), refused_for);
        });
    bool cancel = false;
    {
      MutexLock lock(mutex_);
      waiter_ = waiter;
      cancel = cancelled_;
    }
    if (cancel) deps_.admission.Cancel(waiter);
  }

 private:
  void OnAdmitted(absl::StatusOr<Admission::Ticket> ticket, absl::Duration retry_after) {
    if (!ticket.ok()) return Refuse(ticket.status(), retry_after);
    CallOptions options;
    options.deadline = call_->deadline();
    options.metadata = TrustedMetadata(principal_, call_->metadata(), request_id_);
    trace_.Propagate(options.metadata);
    auto self = shared_from_this();
    auto answer = [self, ticket = std::make_shared<Admission::Ticket>(*std::move(ticket))](
                      InferReply reply) {
      // A kept answer says nothing of the platform.
      if (!IsKeptReply(reply)) ticket->Answered(reply.status);
      const bool decided_here = reply.connection_lost;
      self->Answer(std::move(reply), decided_here);
    };
    // Null where it was answered from the cache.
    auto forwarded =
        deps_.cache == nullptr
            ? deps_.forwarder.Forward(pool_, call_->request(), std::move(options), std::move(answer))
            : deps_.cache->Infer(pool_, call_->request(), call_->streamed(),
                                 {principal_.tenant, principal_.rights.forced_experts},
                                 std::move(options), std::move(answer));
    bool cancel = false;
    {
      MutexLock lock(mutex_);
      if (!answered_) forwarded_ = forwarded;
      cancel = cancelled_;
    }
    if (cancel && forwarded != nullptr) forwarded->Cancel();
  }

  void Cancel() {
    Admission::WaiterId waiter = 0;
    std::shared_ptr<OutgoingCall> forwarded;
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
      waiter = waiter_;
      forwarded = forwarded_;
    }
    deps_.admission.Cancel(waiter);
    if (forwarded != nullptr) forwarded->Cancel();
  }

  void Refuse(absl::Status status, absl::Duration retry_after = absl::ZeroDuration()) {
    InferReply reply;
    if (absl::IsResourceExhausted(status) && retry_after > absl::ZeroDuration()) {
      reply.trailers.emplace_back(kRetryAfterMetadata,
                                  absl::StrCat(absl::ToInt64Milliseconds(
                                      absl::Ceil(retry_after, absl::Milliseconds(1)))));
    }
    reply.status = std::move(status);
    Answer(std::move(reply), true);
  }

  // `decided_here`: the gateway's own word, and no router's.
  void Answer(InferReply reply, bool decided_here) {
    {
      MutexLock lock(mutex_);
      answered_ = true;
      forwarded_ = nullptr;  // the call and this request hold each other until here
    }
    place_ = TenantQuotas::Place();
    SayPushback(reply);
    // Said to the gateway alone.
    std::erase_if(reply.trailers, [](const auto& entry) {
      return entry.first == kAnswerVersionMetadata || entry.first == kKeptAnswerTrailer;
    });
    const absl::Time now = deps_.clock.Now();
    deps_.observer.RequestAnswered(pool_, reply.status.code(), now - arrived_);
    TellDeadline(reply.status, now);
    LogRequest({"gateway", request_id_, pool_, principal_.tenant, reply.status, now - arrived_,
                decided_here});
    if (!trace_.recording()) {
      call_->Finish(std::move(reply));
      return;
    }
    const absl::StatusCode code = reply.status.code();
    const Bytes body = reply.body;
    call_->Finish(std::move(reply));
    // No answer waits for its span.
    DescribeRequest(pool_, principal_.tenant, request_id_, body, trace_.span());
    trace_.End(code, now);
  }

  void TellDeadline(const absl::Status& status, absl::Time now) const {
    const absl::Time deadline = call_->deadline();
    if (deadline == absl::InfiniteFuture()) return;
    // Callers reset what is late, most of them before it is so here.
    const bool left_late =
        absl::IsCancelled(status) && now >= deadline - DeadlineRounding(deadline - arrived_);
    const bool late = now > deadline || absl::IsDeadlineExceeded(status) || left_late;
    if (late || status.ok()) deps_.observer.DeadlineEnded(pool_, !late);
  }

  // gRPC's own clients, where they retry, heed `grpc-retry-pushback-ms` alone; routers and experts
  // say when to come back as OIP servers do.
  static void SayPushback(InferReply& reply) {
    if (!absl::IsResourceExhausted(reply.status)) return;
    const std::string ms(FindMetadata(reply.trailers, kRetryAfterMetadata));
    if (ms.empty() || !FindMetadata(reply.trailers, kRetryPushbackMetadata).empty()) return;
    reply.trailers.emplace_back(kRetryPushbackMetadata, ms);
  }

  const Deps& deps_;
  const std::shared_ptr<IncomingCall> call_;
  const std::string request_id_;
  const absl::Time arrived_;
  ServedTrace trace_;  // of one thread at a time: before it is admitted, then until it is answered
  std::string pool_;
  Principal principal_;
  TenantQuotas::Place place_;  // written before the request is admitted and when it is answered
  Mutex mutex_;
  Admission::WaiterId waiter_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<OutgoingCall> forwarded_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool answered_ ABSL_GUARDED_BY(mutex_) = false;
};

void InferForwarding::ModelInfer(std::shared_ptr<IncomingCall> call) {
  const uint64_t sequence = next_request_.fetch_add(1, std::memory_order_relaxed);
  std::make_shared<Request>(deps_, std::move(call), sequence)->Start();
}

}  // namespace penstock::gateway
