#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "gateway/admission/admission.h"
#include "gateway/admission/admission_observer.h"
#include "gateway/admission/tenant_quotas.h"
#include "gateway/caching/caching_forwarder.h"
#include "gateway/forwarding/forwarder.h"
#include "gateway/identity/authenticator.h"

namespace penstock {
class Tracer;
}  // namespace penstock

namespace penstock::gateway {

// ModelInfer at the gateway: identity, rights, admission, then an answer that is kept, or
// forwarding. The message itself passes through as it came; of pools that are not cacheable only
// their name is read from it.
class InferForwarding final : public InferHandler {
 public:
  // What happened, for metrics. Must not block.
  class Observer : public AdmissionObserver {
   public:
    // `pool` is empty where the request did not say.
    virtual void RequestAnswered(absl::string_view pool, absl::StatusCode code,
                                 absl::Duration latency) = 0;
    // After it, of a request with a deadline that was answered with OK by then (`met`), or had no
    // answer by then. What failed or was refused before is neither.
    virtual void DeadlineEnded(absl::string_view pool, bool met) = 0;
  };

  struct Deps {
    const Authenticator& authenticator;
    Admission& admission;
    TenantQuotas& quotas;
    Forwarder& forwarder;
    Observer& observer;
    const Clock& clock;
    // First part of request ids, unique to this process.
    std::string instance;
    // Null: every request is forwarded.
    CachingForwarder* cache = nullptr;
    // Null: no request is traced here.
    Tracer* tracer = nullptr;
  };
  explicit InferForwarding(Deps deps) : deps_(std::move(deps)) {}

  void ModelInfer(std::shared_ptr<IncomingCall> call) override;

 private:
  class Request;

  const Deps deps_;
  std::atomic<uint64_t> next_request_{1};
};

// What a router is told about the caller: tenant, rights, priority, request id and trace, and
// nothing that the caller itself says about them.
Metadata TrustedMetadata(const Principal& principal, const Metadata& from_caller,
                         absl::string_view request_id);

}  // namespace penstock::gateway
