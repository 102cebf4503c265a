#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/net/oip/oip_control.h"
#include "google/protobuf/message.h"
#include "penstock/v1/decision_log.pb.h"

namespace penstock::router {

// What the decision log keeps of a trusted caller's call that needs the admin right, without its
// time.
v1::AuditRecord AuditOf(const ControlContext& context, absl::string_view method,
                        const google::protobuf::Message& request, const absl::Status& status);

}  // namespace penstock::router
