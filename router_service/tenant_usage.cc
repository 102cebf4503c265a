#include "router_service/tenant_usage.h"

#include "absl/strings/str_format.h"
#include "common/logging/log.h"

namespace penstock::router {
namespace {

// Totals start at 0 when a router does: another start is another owner of totals that only grow.
std::string OwnerOf(uint32_t instance, const Clock& clock) {
  return absl::StrFormat("%08x-%x", instance, absl::ToUnixMicros(clock.Now()));
}

UsageTeller::Events Log() {
  UsageTeller::Events events;
  events.not_told = [](const absl::Status& why) {
    LogWarning("usage_not_told").With("reason", why.ToString());
  };
  events.dropped_untold = [](size_t pairs) {
    LogError("usage_lost").With("counts", pairs);
  };
  events.counted_as_others = [](uint64_t requests) {
    LogWarning("usage_without_tenants").With("requests", requests);
  };
  return events;
}

}  // namespace

TenantUsage::TenantUsage(Store* store, const Clock& clock, Timers& timers, uint32_t instance,
                         RouteObserver& next)
    : owner_(OwnerOf(instance, clock)),
      counts_(clock),
      observer_(counts_, next),
      ledger_(store == nullptr ? nullptr : std::make_unique<UsageLedger>(*store)),
      teller_(std::make_unique<UsageTeller>(
          UsageTeller::Deps{counts_, ledger_.get(), clock, timers, owner_}, Log())),
      pages_(
          std::make_unique<UsagePages>(UsagePages::Deps{counts_, ledger_.get(), clock, owner_})) {}

void TenantUsage::Finish(absl::Duration patience) {
  if (teller_ != nullptr) teller_->Finish(patience);
}

void TenantUsage::Stop() {
  teller_ = nullptr;
  pages_ = nullptr;
}

}  // namespace penstock::router
