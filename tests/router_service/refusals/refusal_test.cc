#include "router_service/refusals/refusal.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(RefusalTest, AReasonStaysWithItsStatus) {
  const absl::Status status = Because(Refusal::kQuality, absl::FailedPreconditionError("no"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "no");
  EXPECT_EQ(RefusalOf(status), Refusal::kQuality);
}

TEST(RefusalTest, WhoDecidedFirstIsBelieved) {
  const absl::Status status = Because(Refusal::kStoreDown, absl::UnavailableError("no"));
  EXPECT_EQ(RefusalOf(Because(Refusal::kBudget, status)), Refusal::kStoreDown);
}

TEST(RefusalTest, AnAnswerHasNone) {
  EXPECT_EQ(RefusalOf(absl::OkStatus()), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Because(Refusal::kBudget, absl::OkStatus())), Refusal::kNone);
}

TEST(RefusalTest, WithoutAReasonTheCodeSaysWhoseFaultItIs) {
  EXPECT_EQ(RefusalOf(absl::InvalidArgumentError("x")), Refusal::kInvalid);
  EXPECT_EQ(RefusalOf(absl::CancelledError("x")), Refusal::kCancelled);
  EXPECT_EQ(RefusalOf(absl::UnavailableError("x")), Refusal::kInternal);
}

TEST(RefusalTest, EveryReasonHasANameOfItsOwn) {
  std::set<std::string> names;
  for (size_t i = 0; i < kRefusals; ++i) {
    names.emplace(RefusalName(static_cast<Refusal>(i)));
  }
  EXPECT_EQ(names.size(), kRefusals);
}

}  // namespace
}  // namespace penstock::router
