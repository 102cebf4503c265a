#include "router_service/oip/audit_record.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/net/grpc_status.h"
#include "common/utf8.h"
#include "google/protobuf/text_format.h"
#include "router_service/dispatch/caller_identity.h"

namespace penstock::router {
namespace {

// A caller decides how long its arguments are.
constexpr size_t kMaxText = 1024;

// Fit for a string of protobuf: an expert's or a caller's bytes may stand in it, and the cut may
// part one letter's.
std::string Text(absl::string_view text) {
  const absl::string_view cut = text.substr(0, kMaxText);
  return IsUtf8(cut) ? std::string(cut) : absl::CHexEscape(cut);
}

}  // namespace

v1::AuditRecord AuditOf(const ControlContext& context, absl::string_view method,
                        const google::protobuf::Message& request, const absl::Status& status) {
  v1::AuditRecord record;
  record.set_tenant(Text(IdentifyCaller(context.metadata, context.caller).tenant));
  // A gateway names the key or token; who calls by itself is known by its certificate, or by where
  // it is.
  const absl::string_view credential = FindMetadata(context.metadata, kCredentialMetadata);
  if (!credential.empty()) {
    record.set_caller(Text(credential));
  } else {
    const Caller& caller = context.caller;
    record.set_caller(
        Text(caller.certificate_name.empty() ? caller.peer : caller.certificate_name));
  }
  record.set_method(std::string(method));
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  request.GetReflection()->ListFields(request, &fields);
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    const bool list = field->is_repeated();
    const int values = list ? request.GetReflection()->FieldSize(request, field) : 1;
    std::string all;
    for (int i = 0; i < values && all.size() <= kMaxText; ++i) {
      std::string value;
      printer.PrintFieldValueToString(request, field, list ? i : -1, &value);
      absl::StrAppend(&all, i > 0 ? "," : "", value);
    }
    (*record.mutable_arguments())[field->name()] = Text(all);
  }
  record.set_status(std::string(StatusCodeName(status.code())));
  record.set_reason(Text(status.message()));
  return record;
}

}  // namespace penstock::router
