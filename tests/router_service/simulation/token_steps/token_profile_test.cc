#include "router_service/simulation/token_steps/token_profile.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using testing::HasSubstr;

constexpr char kTwo[] = R"(experts:
  - name: small
    batch_limit: 32
    steps: [{batch: 1, seconds: 0.01, joules: 3}, {batch: 32, seconds: 0.02, joules: 6}]
    prefill: [{tokens: 128, seconds: 0.05}]
  - {name: large, servers: 2, joules_per_prompt_token: .5, steps: [{batch: 1, seconds: 1}]}
)";

TEST(TokenProfileFileTest, ReadsWhatIsTold) {
  ASSERT_OK_AND_ASSIGN(const auto profiles, ParseTokenProfiles("p.yaml", kTwo));
  ASSERT_EQ(profiles.size(), 2);
  EXPECT_EQ(profiles[0].batch_limit, 32);
  EXPECT_EQ(profiles[0].servers, 1);
  EXPECT_DOUBLE_EQ(profiles[0].StepSeconds(1), 0.01);
  EXPECT_DOUBLE_EQ(profiles[0].StepJoules(32), 6);
  EXPECT_DOUBLE_EQ(profiles[0].PrefillSeconds(1000), 0.05);
  EXPECT_EQ(profiles[1].servers, 2);
  EXPECT_DOUBLE_EQ(profiles[1].joules_per_prompt_token, 0.5);
  EXPECT_DOUBLE_EQ(profiles[1].StepSeconds(7), 1);
}

TEST(TokenProfileFileTest, NamesWhatIsWrong) {
  const auto problem = [](const std::string& text) {
    return std::string(ParseTokenProfiles("p.yaml", text).status().message());
  };
  const std::string step = "steps: [{batch: 1, seconds: 1}]";
  EXPECT_THAT(problem("experts: []"), HasSubstr("at least one"));
  EXPECT_THAT(problem("experts: [{name: a, " + step + ", slots: 1}]"),
              HasSubstr("experts[0].slots: unknown field"));
  EXPECT_THAT(problem("experts: [{" + step + "}]"), HasSubstr("name is missing"));
  EXPECT_THAT(problem("experts: [{name: a}]"), HasSubstr("steps: wanted points"));
  EXPECT_THAT(problem("experts: [{name: a, " + step + "}, {name: a, " + step + "}]"),
              HasSubstr("a stands twice"));
  EXPECT_THAT(problem("experts: [{name: a, " + step + ", batch_limit: 0}]"),
              HasSubstr("batch_limit is 0, wanted a whole number in [1, 65536]"));
  EXPECT_THAT(problem("experts: [{name: a, steps: [{batch: 2, seconds: 1}, {batch: 2}]}]"),
              HasSubstr("steps[1].batch is 2, wanted more than 2"));
  EXPECT_THAT(problem("experts: [{name: a, steps: [{batch: 1, seconds: soon}]}]"),
              HasSubstr("steps[0].seconds is \"soon\""));
  EXPECT_THAT(problem("experts: [{name: a, " + step + ", prefill: [{seconds: 1}]}]"),
              HasSubstr("prefill[0]: wanted a map with tokens"));
}

TEST(TokenProfileFileTest, AnExpertWithoutAProfileIsNamed) {
  ASSERT_OK_AND_ASSIGN(const auto profiles, ParseTokenProfiles("p.yaml", kTwo));
  ASSERT_OK_AND_ASSIGN(const auto ordered,
                       InOrderOf(std::vector<std::string>{"large", "small"}, profiles));
  EXPECT_EQ(ordered[0].name, "large");
  EXPECT_THAT(InOrderOf(std::vector<std::string>{"huge"}, profiles),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("huge has no token profile")));
}

}  // namespace
}  // namespace penstock::router
