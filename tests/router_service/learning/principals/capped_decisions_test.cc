#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/learning/decisions/logged_outcomes.h"
#include "router_service/recording/decision_id.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr uint32_t kLoud = 2;  // the router that decided for the loud tenant

std::string Line(uint32_t instance, uint64_t sequence, const std::string& tenant) {
  v1::Decision decision;
  decision.set_id(DecisionId{instance, sequence}.ToString());
  decision.set_pool("pool");
  decision.set_tenant(tenant);
  decision.add_candidates()->set_expert("small");
  v1::Run& run = *decision.add_runs();
  run.set_expert("small");
  run.set_reason("chosen");
  run.set_status("OK");
  decision.mutable_features()->set_dimension(1);
  decision.mutable_features()->add_values(1);
  decision.set_reported_quality(0.5);
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(decision, &line, options).ok());
  return line + "\n";
}

TEST(CappedDecisions, ATenantHasNoMoreThanItsShareOfWhatIsLearned) {
  std::string log;
  for (uint64_t i = 0; i < 100; ++i) log += Line(kLoud, i, "loud");
  for (uint64_t i = 0; i < 20; ++i) log += Line(1, i, absl::StrCat("quiet-", i % 5));
  TempDir dir;
  LoggedOutcomesSource source;
  source.files = {dir.Write("log.jsonl", log)};
  const auto all = ReadLoggedOutcomes(source);
  ASSERT_THAT(all.status(), IsOk());
  EXPECT_EQ(all->rows.size(), 120u);
  EXPECT_EQ(all->capped, 0u);
  source.most_tenant_share = 0.2;
  const auto capped = ReadLoggedOutcomes(source);
  ASSERT_THAT(capped.status(), IsOk());
  const std::string loud = DecisionId{kLoud, 0}.ToString().substr(0, 8);
  size_t of_loud = 0;
  for (const LoggedOutcome& row : capped->rows) of_loud += absl::StartsWith(row.id, loud) ? 1 : 0;
  // 5 of 25.
  EXPECT_EQ(of_loud, 5u);
  EXPECT_EQ(capped->rows.size(), 25u);
  EXPECT_EQ(capped->capped, 95u);
  EXPECT_THAT(capped->Notes(),
              Contains(HasSubstr("95 more left out: beyond their tenant's share")));
}

}  // namespace
}  // namespace penstock::router
