#include "cli/budget/budget_text.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::cli {
namespace {

using config::v1::Budget;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

v1::BudgetStatus& Add(v1::GetBudgetResponse& response, const std::string& pool,
                      const std::string& tenant, double amount) {
  v1::BudgetStatus& status = *response.add_budgets();
  status.set_pool(pool);
  status.mutable_budget()->set_tenant(tenant);
  status.mutable_budget()->set_resource(Budget::DOLLARS);
  status.mutable_budget()->set_per(Budget::DAY);
  status.mutable_budget()->set_amount(amount);
  status.set_spent(1.5);
  status.set_remaining(amount - 1.5);
  status.set_share(0.5);
  return status;
}

constexpr absl::Time kNow = absl::UnixEpoch();

TEST(BudgetTextTest, DescribesABudgetInOneLine) {
  Budget budget;
  budget.set_resource(Budget::DOLLARS);
  budget.set_per(Budget::DAY);
  budget.set_amount(20);
  EXPECT_EQ(DescribeBudget("", budget), "20 dollars per day across pools, soft");
  budget.set_tenant("acme");
  budget.set_hard(true);
  EXPECT_EQ(DescribeBudget("chat", budget), "20 dollars per day of tenant acme in pool chat, hard");
}

TEST(BudgetTextTest, TheTableHasARowForEachBudget) {
  EXPECT_EQ(BudgetTable({}), "no budget\n");
  v1::GetBudgetResponse response;
  Add(response, "", "acme", 20).mutable_window_left()->set_seconds(3661);
  v1::BudgetStatus& second = Add(response, "chat", "", 7);
  second.mutable_budget()->set_hard(true);
  second.set_set_by_call(true);
  const std::string table = BudgetTable(response);
  EXPECT_THAT(table, AllOf(HasSubstr("(across)"), HasSubstr("acme"), HasSubstr("1h1m1s"),
                           HasSubstr("18.5"), HasSubstr("soft"), HasSubstr("file")));
  EXPECT_THAT(table, AllOf(HasSubstr("chat"), HasSubstr("(all)"), HasSubstr("hard"),
                           HasSubstr("call"), HasSubstr("5.5")));
}

TEST(BudgetChangesTest, ALineForEachBudgetThatChanged) {
  BudgetChanges changes(/*all=*/false);
  v1::GetBudgetResponse response;
  Add(response, "chat", "acme", 20).mutable_window_left()->set_seconds(60);
  Add(response, "chat", "zeta", 7);
  EXPECT_EQ(
      changes.Look(response, kNow),
      "1970-01-01T00:00:00.000Z\tchat\tacme\tdollars\tday\t20\t0\t1.5\t18.5\t0\t0.5\tfile\t60.000\n"
      "1970-01-01T00:00:00.000Z\tchat\tzeta\tdollars\tday\t7\t0\t1.5\t5.5\t0\t0.5\tfile\t0.000\n");
  // Time passes, and nothing else.
  response.mutable_budgets(0)->mutable_window_left()->set_seconds(50);
  EXPECT_EQ(changes.Look(response, kNow), "");
  response.mutable_budgets(1)->set_spent(2);
  EXPECT_THAT(changes.Look(response, kNow), AllOf(HasSubstr("zeta"), Not(HasSubstr("acme"))));
}

TEST(BudgetChangesTest, ABudgetThatIsGoneHasOneLastLine) {
  BudgetChanges changes(/*all=*/false);
  v1::GetBudgetResponse response;
  Add(response, "chat", "acme", 20);
  changes.Look(response, kNow);
  EXPECT_THAT(changes.Look({}, kNow), MatchesRegex(".*\tchat\tacme\tdollars\tday\t0\t+\n"));
  EXPECT_EQ(changes.Look({}, kNow), "");
}

TEST(BudgetChangesTest, AllShowsEveryBudgetAtEachLook) {
  BudgetChanges changes(/*all=*/true);
  v1::GetBudgetResponse response;
  Add(response, "chat", "acme", 20);
  EXPECT_NE(changes.Look(response, kNow), "");
  EXPECT_NE(changes.Look(response, kNow), "");
}

TEST(BudgetChangesTest, EveryLineHasTheHeadersColumnsWhateverTheNames) {
  BudgetChanges changes(/*all=*/false);
  v1::GetBudgetResponse response;
  Add(response, "chat", "a\tb\nc\\d", 20);
  const auto columns = [](const std::string& line) {
    return std::count(line.begin(), line.end(), '\t');
  };
  const std::string there = changes.Look(response, kNow), gone = changes.Look({}, kNow);
  EXPECT_THAT(there, HasSubstr("a\\tb\\nc\\\\d"));
  EXPECT_EQ(std::count(there.begin(), there.end(), '\n'), 1);
  EXPECT_EQ(columns(there), columns(BudgetChanges::Header()));
  EXPECT_EQ(columns(gone), columns(BudgetChanges::Header()));
}

}  // namespace
}  // namespace penstock::cli
