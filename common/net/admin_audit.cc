#include "common/net/admin_audit.h"

#include <spdlog/spdlog.h>

#include "absl/strings/escaping.h"
#include "common/net/grpc_status.h"

namespace penstock {
namespace {

// A caller decides how long its arguments are.
constexpr size_t kMaxText = 1024;

// Quoted and escaped: what a caller sent starts no line and no key of its own.
std::string Quoted(absl::string_view text) {
  return '"' + absl::CHexEscape(text.substr(0, kMaxText)) + '"';
}

}  // namespace

void AuditAdminCall(const AdminCall& call, const absl::Status& status) {
  const auto logger = spdlog::default_logger()->clone("audit");
  logger->set_level(spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  logger->info(
      "event=audit method={} tenant={} credential={} certificate={} peer={} arguments={} status={} "
      "reason={}",
      call.method, Quoted(call.tenant), Quoted(call.credential),
      Quoted(call.caller.certificate_name), Quoted(call.caller.peer), Quoted(call.arguments),
      std::string(StatusCodeName(status.code())), Quoted(status.message()));
}

}  // namespace penstock
