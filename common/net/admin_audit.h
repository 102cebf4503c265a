#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/net/infer_call.h"

namespace penstock {

// A call that needs the admin right: who asks for what.
struct AdminCall {
  std::string method;  // "/penstock.v1.Routing/SetBudget"
  std::string tenant;
  std::string credential;  // which key, whose token; empty: not known
  Caller caller;
  std::string arguments;  // the request as text, without secrets
};

// One line `event=audit` of `service=audit`, whatever level the service logs at, once the answer is
// known. Calls that were refused count too, as many a second as any event may have.
void AuditAdminCall(const AdminCall& call, const absl::Status& status);

}  // namespace penstock
