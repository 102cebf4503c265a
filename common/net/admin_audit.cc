#include "common/net/admin_audit.h"

#include "common/logging/log.h"
#include "common/net/grpc_status.h"

namespace penstock {

void AuditAdminCall(const AdminCall& call, const absl::Status& status) {
  // Whoever has the right is told of whatever the rate; strangers do not fill the log.
  const LogRule rule = status.ok() ? LogRule::kAlways : LogRule::kAudit;
  LogEvent(LogLevel::kInfo, "audit", "audit", rule)
      .With("method", call.method)
      .With("tenant", call.tenant)
      .With("credential", call.credential)
      .With("certificate", call.caller.certificate_name)
      .With("peer", call.caller.peer)
      .With("arguments", call.arguments)
      .With("status", StatusCodeName(status.code()))
      .With("reason", status.message());
}

}  // namespace penstock
