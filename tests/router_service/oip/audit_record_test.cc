#include "router_service/oip/audit_record.h"

#include <string>

#include "common/net/caller_rights.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ControlContext Gateway() {
  ControlContext context;
  context.caller = {.trusted = true, .certificate_name = "gateway-1", .peer = "ipv4:10.0.0.1:1"};
  context.metadata = {{kTenantMetadata, "acme"}, {kCredentialMetadata, "key:ba7816bf"}};
  return context;
}

TEST(AuditRecordTest, SaysWhoAskedForWhatAndWhatCameOfIt) {
  v1::SetBudgetRequest request;
  request.set_pool("digits");
  request.mutable_budget()->set_amount(3);
  const v1::AuditRecord record =
      AuditOf(Gateway(), "SetBudget", request, absl::PermissionDeniedError("not you"));
  EXPECT_EQ(record.tenant(), "acme");
  EXPECT_EQ(record.caller(), "key:ba7816bf");
  EXPECT_EQ(record.method(), "SetBudget");
  EXPECT_EQ(record.status(), "PERMISSION_DENIED");
  EXPECT_EQ(record.reason(), "not you");
  ASSERT_EQ(record.arguments_size(), 2);
  EXPECT_THAT(record.arguments().at("pool"), HasSubstr("digits"));
  EXPECT_THAT(record.arguments().at("budget"), HasSubstr("amount: 3"));
}

TEST(AuditRecordTest, WhoCallsByItselfIsKnownByItsCertificateOrItsAddress) {
  ControlContext context = Gateway();
  context.metadata = {{kTenantMetadata, "acme"}};
  EXPECT_EQ(AuditOf(context, "m", v1::PromoteRequest(), {}).caller(), "gateway-1");
  context.caller.certificate_name.clear();
  EXPECT_EQ(AuditOf(context, "m", v1::PromoteRequest(), {}).caller(), "ipv4:10.0.0.1:1");
  EXPECT_EQ(AuditOf(context, "m", v1::PromoteRequest(), {}).status(), "OK");
}

TEST(AuditRecordTest, IsBoundedAndFitForStringsOfProtobuf) {
  v1::SetBudgetRequest request;
  request.set_pool(std::string(5000, 'p'));
  const std::string umlauts(1023, 'x');
  const v1::AuditRecord record =
      AuditOf(Gateway(), "SetBudget", request, absl::NotFoundError(umlauts + "\xc3\xa4 and more"));
  EXPECT_EQ(record.arguments().at("pool").size(), 1024u);
  EXPECT_THAT(record.reason(), StartsWith(umlauts));
  v1::AuditRecord read;
  EXPECT_TRUE(read.ParseFromString(record.SerializeAsString()));
}

}  // namespace
}  // namespace penstock::router
