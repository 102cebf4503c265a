#include "gateway/admission/tenant_quotas.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace penstock::gateway {
namespace {

constexpr int kMaxQuotas = 1000;
constexpr uint32_t kLargestLimit = 1'000'000;
// By then some of the tenant's own requests are answered.
constexpr absl::Duration kInFlightRetry = absl::Milliseconds(50);

}  // namespace

struct TenantQuotas::Tenant {
  std::string key;
  const Limits* limits = nullptr;
  uint32_t in_flight = 0;
  // The bucket: what was in it, and when.
  double tokens = 0;
  absl::Time counted;
  std::list<Tenant*>::iterator idle;  // where in_flight is 0
};

TenantQuotas::TenantQuotas(const Clock& clock) : clock_(clock) {}
TenantQuotas::~TenantQuotas() = default;

absl::StatusOr<std::unique_ptr<TenantQuotas>> TenantQuotas::Create(
    const google::protobuf::Map<std::string, config::v1::Quota>& quotas, const Clock& clock) {
  if (quotas.size() > kMaxQuotas) {
    return absl::InvalidArgumentError(
        absl::StrCat("identity.quotas: wanted at most ", kMaxQuotas, ", got ", quotas.size()));
  }
  auto created = std::unique_ptr<TenantQuotas>(new TenantQuotas(clock));
  for (const auto& [name, quota] : quotas) {
    const std::string where = absl::StrCat("identity.quotas[", name, "].");
    if (name.empty()) return absl::InvalidArgumentError("identity.quotas: a name is empty");
    const auto check = [&](const char* field, bool set, uint32_t value) {
      if (!set || (value >= 1 && value <= kLargestLimit)) return absl::OkStatus();
      return absl::InvalidArgumentError(
          absl::StrCat(where, field, ": wanted 1 to ", kLargestLimit, ", got ", value));
    };
    absl::Status status = check("max_in_flight", quota.has_max_in_flight(), quota.max_in_flight());
    status.Update(check("burst", quota.has_burst(), quota.burst()));
    if (!status.ok()) return status;
    const double rate = quota.requests_per_second();
    if (quota.has_requests_per_second() && !(rate > 0 && rate <= kLargestLimit)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "requests_per_second: wanted more than 0 and at most ", kLargestLimit,
                       ", got ", rate));
    }
    if (quota.has_burst() && !quota.has_requests_per_second()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "burst: needs requests_per_second beside it"));
    }
    Limits limits;
    limits.max_in_flight = quota.max_in_flight();
    limits.rate = rate;
    limits.depth = quota.has_burst() ? quota.burst() : std::max(1.0, rate);
    created->limits_.emplace(name, limits);
  }
  return created;
}

absl::StatusOr<TenantQuotas::Place> TenantQuotas::Take(absl::string_view tenant,
                                                       absl::string_view quota,
                                                       absl::Duration& retry_after) {
  const auto limits = limits_.find(quota);
  if (limits == limits_.end()) return Place();
  const Limits& limit = limits->second;
  // No tenant's name has a line break.
  std::string key = absl::StrCat(tenant, "\n", quota);
  const absl::Time now = clock_.Now();
  MutexLock lock(mutex_);
  auto it = tenants_.find(key);
  if (it == tenants_.end()) {
    auto fresh = std::make_unique<Tenant>();
    fresh->key = key;
    fresh->limits = &limit;
    fresh->tokens = limit.depth;
    fresh->counted = now;
    idle_.push_front(fresh.get());
    fresh->idle = idle_.begin();
    it = tenants_.emplace(std::move(key), std::move(fresh)).first;
  }
  Tenant& counted = *it->second;
  if (limit.rate > 0) {
    const double elapsed = std::max(0.0, absl::ToDoubleSeconds(now - counted.counted));
    counted.tokens = std::min(limit.depth, counted.tokens + elapsed * limit.rate);
    counted.counted = std::max(counted.counted, now);
  }
  if (limit.max_in_flight > 0 && counted.in_flight >= limit.max_in_flight) {
    retry_after = kInFlightRetry;
    return absl::ResourceExhaustedError(absl::StrCat(
        "tenant ", tenant, " has ", limit.max_in_flight, " requests in flight, its quota's limit"));
  }
  if (limit.rate > 0 && counted.tokens < 1) {
    retry_after = absl::Seconds((1 - counted.tokens) / limit.rate);
    return absl::ResourceExhaustedError(absl::StrCat("tenant ", tenant, " asks more than ",
                                                     limit.rate, " times a second, its quota"));
  }
  if (limit.rate > 0) counted.tokens -= 1;
  if (counted.in_flight++ == 0) idle_.erase(counted.idle);
  return Place(*this, counted);
}

void TenantQuotas::Leave(Tenant& tenant) {
  MutexLock lock(mutex_);
  if (--tenant.in_flight > 0) return;
  idle_.push_front(&tenant);
  tenant.idle = idle_.begin();
  if (idle_.size() <= kMaxIdle) return;
  const std::string forgotten = idle_.back()->key;
  idle_.pop_back();
  tenants_.erase(forgotten);
}

size_t TenantQuotas::size() const {
  MutexLock lock(mutex_);
  return tenants_.size();
}

}  // namespace penstock::gateway
