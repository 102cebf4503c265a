#include "router_service/pools/pool_shadow.h"

#include "absl/strings/str_cat.h"
#include "router_service/pools/shadow_record.h"
#include "router_service/quality/artifact_version.h"

namespace penstock::router {

absl::Status ValidateShadow(const config::v1::Pool& pool) {
  if (!pool.has_shadow()) return absl::OkStatus();
  const config::v1::Shadow& shadow = pool.shadow();
  if (pool.granularity() == config::v1::Pool::ROW) {
    return absl::InvalidArgumentError("shadow: wanted granularity REQUEST");
  }
  if (!pool.cascade().first().empty()) {
    return absl::InvalidArgumentError(
        "shadow: a pool with a cascade asks its first expert whatever a quality_file or gate says");
  }
  if (shadow.quality_file().empty() && !shadow.has_gate()) {
    return absl::InvalidArgumentError("shadow: wanted a quality_file, a gate or both");
  }
  if (shadow.has_gate() && GateFiles(shadow.gate()).empty()) {
    return absl::InvalidArgumentError("shadow.gate: wanted a policy with a file");
  }
  if (absl::Status status = ValidatePromotionRule(shadow.promote()); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("shadow.promote.", status.message()));
  }
  return absl::OkStatus();
}

config::v1::Pool WithShadowLive(const config::v1::Pool& pool) {
  config::v1::Pool live = pool;
  if (!pool.shadow().quality_file().empty()) live.set_quality_file(pool.shadow().quality_file());
  if (pool.shadow().has_gate()) *live.mutable_gate() = pool.shadow().gate();
  live.clear_shadow();
  return live;
}

}  // namespace penstock::router
