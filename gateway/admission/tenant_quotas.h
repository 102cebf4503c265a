#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "google/protobuf/map.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// What one tenant may ask of this gateway: so many requests unanswered at once, so many a second. A
// tenant has one count under each quota that its credentials name. Thread-safe.
class TenantQuotas {
 private:
  struct Tenant;

 public:
  // Tenants whose spent bucket is remembered while they have nothing in flight; the one longest
  // idle is forgotten first, and has a full bucket when it returns.
  static constexpr size_t kMaxIdle = 100'000;

  // A place among the tenant's requests, until its end.
  class Place {
   public:
    Place() = default;  // of a tenant without a quota
    ~Place() { Release(); }
    Place(Place&& other) noexcept
        : quotas_(std::exchange(other.quotas_, nullptr)), tenant_(other.tenant_) {}
    Place& operator=(Place&& other) noexcept {
      Release();
      quotas_ = std::exchange(other.quotas_, nullptr);
      tenant_ = other.tenant_;
      return *this;
    }

   private:
    friend class TenantQuotas;
    Place(TenantQuotas& quotas, Tenant& tenant) : quotas_(&quotas), tenant_(&tenant) {}
    void Release() {
      if (quotas_ != nullptr) std::exchange(quotas_, nullptr)->Leave(*tenant_);
    }

    TenantQuotas* quotas_ = nullptr;
    Tenant* tenant_ = nullptr;
  };

  // INVALID_ARGUMENT names the field of `identity.quotas`.
  static absl::StatusOr<std::unique_ptr<TenantQuotas>> Create(
      const google::protobuf::Map<std::string, config::v1::Quota>& quotas, const Clock& clock);
  ~TenantQuotas();

  // RESOURCE_EXHAUSTED says which limit, and `retry_after` when there may be room. `quota`: a
  // configured name, or empty: no limit.
  absl::StatusOr<Place> Take(absl::string_view tenant, absl::string_view quota,
                             absl::Duration& retry_after);

  // Tenants that are counted.
  size_t size() const;

 private:
  struct Limits {
    uint32_t max_in_flight = 0;  // 0: no limit
    double rate = 0;             // requests per second; 0: no limit
    double depth = 0;
  };

  explicit TenantQuotas(const Clock& clock);
  void Leave(Tenant& tenant);

  const Clock& clock_;
  absl::flat_hash_map<std::string, Limits> limits_;
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, std::unique_ptr<Tenant>> tenants_ ABSL_GUARDED_BY(mutex_);
  std::list<Tenant*> idle_ ABSL_GUARDED_BY(mutex_);  // the latest first
};

}  // namespace penstock::gateway
