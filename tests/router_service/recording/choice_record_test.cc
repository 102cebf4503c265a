#include "router_service/recording/choice_record.h"

#include <limits>

#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CandidateColumns Candidates() {
  CandidateColumns candidates(3);
  candidates.Set(0, {0.1, 0.2, 1.0 / 3, 0.4, 0.5, 0.6, Exclusion::kNone});
  candidates.Set(1, {5e-324, 0.30000000000000004, 1, 1e300, 2, 0, Exclusion::kPlan});
  candidates.Set(2, {-1, 0, 0, std::numeric_limits<double>::infinity(), 7, 8, Exclusion::kNone});
  return candidates;
}

// As the file has it.
template <typename Message>
Message Through(const Message& from) {
  std::string line;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(from, &line).ok());
  Message to;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(line, &to).ok()) << line;
  return to;
}

TEST(ChoiceRecordTest, CandidatesComeBackToTheLastBit) {
  const CandidateColumns candidates = Candidates();
  v1::ChoiceRecord record;
  WriteCandidates(candidates, record);
  const auto read = ReadCandidates(Through(record));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const SelectionCandidate a = candidates[i], b = (*read)[i];
    EXPECT_EQ(a.score, b.score) << i;
    EXPECT_EQ(a.quality, b.quality) << i;
    EXPECT_EQ(a.weight, b.weight) << i;
    EXPECT_EQ(a.latency_s, b.latency_s) << i;
    EXPECT_EQ(a.idle_latency_s, b.idle_latency_s) << i;
    EXPECT_EQ(a.energy_j, b.energy_j) << i;
    EXPECT_EQ(a.excluded, b.excluded) << i;
  }
}

TEST(ChoiceRecordTest, AColumnThatIsTooShortIsNamed) {
  v1::ChoiceRecord record;
  WriteCandidates(Candidates(), record);
  record.mutable_energy_j()->RemoveLast();
  EXPECT_THAT(ReadCandidates(record).status().message(), HasSubstr("energy_j"));
}

TEST(ChoiceRecordTest, AnUnknownReasonIsNamed) {
  v1::ChoiceRecord record;
  WriteCandidates(Candidates(), record);
  record.set_excluded(1, "bad weather");
  EXPECT_THAT(ReadCandidates(record).status().message(), HasSubstr("bad weather"));
}

TEST(ChoiceRecordTest, LimitsComeBackToTheLastBit) {
  const uint32_t forced[] = {2, 0};
  const uint8_t beyond[] = {0, 1, 0};
  SelectionLimits limits;
  limits.max_experts = 2;
  limits.value = 1.1;
  limits.price_per_joule = 0.1;
  limits.time_left_s = 1.0 / 3;
  limits.headroom_j = 7.000000000000001;
  limits.beyond_headroom = beyond;
  limits.min_quality = 0.7;
  limits.objective = Objective::kLatency;
  limits.forced = forced;
  limits.degrade = true;
  v1::Choice choice;
  WriteLimits(limits, choice);
  LoggedLimits read;
  v1::ChoiceRecord record;
  WriteCandidates(Candidates(), record);
  const v1::Choice through = Through(choice);
  ASSERT_TRUE(ReadLimits(record, through, read).ok());
  EXPECT_EQ(read.limits.max_experts, limits.max_experts);
  EXPECT_EQ(read.limits.value, limits.value);
  EXPECT_EQ(read.limits.price_per_joule, limits.price_per_joule);
  EXPECT_EQ(read.limits.time_left_s, limits.time_left_s);
  EXPECT_EQ(read.limits.latency_budget_s, SelectionLimits::kNone);
  EXPECT_EQ(read.limits.energy_cap_j, SelectionLimits::kNone);
  EXPECT_EQ(read.limits.headroom_j, limits.headroom_j);
  EXPECT_EQ(read.limits.min_quality, limits.min_quality);
  EXPECT_EQ(read.limits.objective, limits.objective);
  EXPECT_EQ(read.limits.degrade, limits.degrade);
  EXPECT_THAT(read.limits.forced, ElementsAre(2, 0));
  EXPECT_THAT(read.limits.beyond_headroom, ElementsAre(0, 1, 0));
  EXPECT_EQ(read.limits.largest_j, SelectionLimits::kNone);
  record.mutable_score()->RemoveLast();
  EXPECT_THAT(ReadLimits(record, through, read).message(), HasSubstr("forced"));
}

TEST(ChoiceRecordTest, TheLargestAnswersComeBack) {
  const double largest[] = {0, 0.1 + 0.2, 1e9};
  SelectionLimits limits;
  limits.largest_j = 1.0 / 3;
  v1::Choice choice;
  WriteLimits(limits, choice);
  v1::ChoiceRecord record;
  WriteCandidates(Candidates(), record);
  LoggedLimits read;
  EXPECT_THAT(ReadLimits(record, choice, read).message(), HasSubstr("largest_j"));
  WriteLargest(largest, record);
  const v1::ChoiceRecord through = Through(record);
  ASSERT_TRUE(ReadLimits(through, Through(choice), read).ok());
  EXPECT_EQ(read.limits.largest_j, limits.largest_j);
  EXPECT_THAT(read.limits.largest_of, ElementsAre(0, 0.1 + 0.2, 1e9));
}

TEST(ChoiceRecordTest, AFollowUpComesBack) {
  const std::vector<EscalationOption> options = {{1, 0.9, 3.3, 0.02, true},
                                                 {2, 0.95, 9, 0.2, false}};
  EscalationLimits limits;
  limits.price_per_joule = 0.01;
  limits.headroom_j = 5;
  limits.max_escalations = 2;
  const Escalation decided = DecideEscalation(0.6, options, limits);
  ASSERT_TRUE(decided.option.has_value());
  v1::FollowUp follow_up;
  WriteFollowUp(v1::FollowUp::ESCALATION, 0.6, options, limits, decided, follow_up);
  std::vector<EscalationOption> read;
  EscalationLimits read_limits;
  const v1::FollowUp through = Through(follow_up);
  ReadFollowUp(through, read, read_limits);
  const Escalation again = DecideEscalation(through.p_stay(), read, read_limits);
  EXPECT_EQ(again.option, decided.option);
  EXPECT_EQ(again.gain, decided.gain);
  EXPECT_EQ(through.option(), *decided.option);
}

}  // namespace
}  // namespace penstock::router
