// What the router writes into its decision log's file suffices to make its decisions again.
#include "router_service/simulation/decisions/decision_replay.h"

#include <cmath>
#include <functional>

#include "google/protobuf/util/json_util.h"
#include "router_service/dispatch/explain/recorded_choice.h"
#include "router_service/recording/chain/segment_file.h"
#include "router_service/selection/first_answer.h"
#include "router_service/simulation/decisions/choice_replay.h"
#include "tests/router_service/pipeline_tests/logged_decisions.h"

namespace penstock::router {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST_F(LoggedDecisions, AreAllMadeAgain) {
  BuildPriced();
  Drive(400);
  const DecisionReplayReport report = Replay(Lines());
  EXPECT_EQ(report.decisions, 400u);
  EXPECT_EQ(report.reproduced, 400u) << First(report);
  EXPECT_EQ(report.share(), 1);
  EXPECT_EQ(report.mismatches.count(), 0u) << First(report);
  EXPECT_THAT(report.incomplete, IsEmpty());
  EXPECT_GT(report.events, 1600u);
}

// The better expert's answers are in time, but only just: that it is passed over for them is in the
// log.
TEST_F(LoggedDecisions, OfAnswersAtRiskOfLatenessAreMadeAgain) {
  Build(absl::StrCat(kTwoExperts, LogYaml()));
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  CounterRandom random(5, 1);
  Target("big:1").AnswerWith([&](const Bytes&, const CallOptions&) {
    clock_.Advance(absl::Microseconds(8000 + static_cast<int64_t>(random.Below(8000))));
    return MakeReply(1, 0.9f, 1.0);
  });
  uint64_t asked = 0;
  const auto ask = [&](double latency_budget_ms) {
    ++asked;
    const InferRequest request =
        MakeRequest(1, {{"penstock_latency_budget_ms", latency_budget_ms}});
    EXPECT_THAT(Ask(request).status, IsOk());
    return Last();
  };
  for (int i = 0; i < 100; ++i) ASSERT_EQ(ask(1000).runs(0).expert(), "big");
  // Up from where it is late: first it is at risk, then at ease.
  double budget_ms = ask(1000).candidates(1).latency_ms();
  size_t late = 0, at_risk = 0;
  for (bool at_ease = false; !at_ease && budget_ms < 1000; budget_ms *= 1.002) {
    const v1::Decision decision = ask(budget_ms);
    at_ease = decision.runs(0).expert() == "big";
    const bool in_time = decision.candidates(1).excluded().empty();
    if (!at_ease) ++(in_time ? at_risk : late);
    EXPECT_TRUE(in_time || at_risk == 0) << "in time, and late with more time left";
  }
  EXPECT_LT(budget_ms, 100);
  EXPECT_GT(at_risk, 2u);
  const DecisionReplayReport report = Replay(Lines());
  EXPECT_EQ(report.decisions, asked);
  EXPECT_EQ(report.reproduced, asked) << First(report);
}

TEST_F(LoggedDecisions, OfACascadeAreAllMadeAgain) {
  BuildPriced(absl::StrCat("  cascade: {first: small, file: ", CascadeFile(), "}\n"));
  Drive(400);
  const std::vector<std::string> lines = Lines();
  const DecisionReplayReport report = Replay(lines);
  EXPECT_EQ(report.reproduced, 400u) << First(report);
  EXPECT_THAT(report.incomplete, IsEmpty());
  EXPECT_THAT(lines, Contains(HasSubstr("\"reason\":\"escalation\"")));
  EXPECT_THAT(lines, Contains(HasSubstr("\"kind\":\"REPLACEMENT\"")));
}

// A budget that is spent, and `mandatory` whom it binds not; the choices that then ran beyond it.
class DecisionsBeyondHeadroom : public LoggedDecisions {
 protected:
  size_t Beyond(const std::string& mandatory, const std::string& more) {
    Build(absl::StrCat(kTwoExperts, "  budgets: [{resource: JOULES, amount: 2, per: HOUR}]\n",
                       "  guards: {mandatory_experts: [", mandatory, "]}\n", more, LogYaml()));
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
    const InferRequest forced = MakeRequest(1, {{"penstock_experts", std::string("big")}});
    for (int i = 0; i < 2; ++i) EXPECT_THAT(Ask(forced, ForcedRights()).status, IsOk());
    for (int i = 0; i < 4; ++i) EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
    const std::vector<std::string> lines = Lines();
    const DecisionReplayReport report = Replay(lines);
    EXPECT_EQ(report.reproduced, 6u) << First(report);
    EXPECT_EQ(report.mismatches.count(), 0u) << First(report);
    size_t beyond = 0;
    for (const v1::Decision& decision : ChosenOf(lines)) {
      const auto& choices = decision.choice().choices();
      const v1::Choice& last = choices[choices.size() - 1];
      beyond += last.forced().empty() && last.degraded().empty() &&
                last.chosen_energy_j() > last.headroom_j();
    }
    return beyond;
  }
};

TEST_F(DecisionsBeyondHeadroom, OfAMandatoryExpertAreMadeAgain) {
  EXPECT_GT(Beyond("big", ""), 0u);
}

TEST_F(DecisionsBeyondHeadroom, OfACascadesMandatoryFirstAreMadeAgain) {
  EXPECT_GT(Beyond("small", absl::StrCat("  cascade: {first: small, file: ", CascadeFile(), "}\n")),
            0u);
}

// `chosen` answers first, or nobody does and the selector chooses.
ExpertChoice Chosen(std::shared_ptr<const CandidateColumns> candidates, uint32_t first,
                    double headroom_j, double latency_budget_s) {
  ExpertChoice choice;
  choice.candidates = std::move(candidates);
  choice.excluded.assign(choice.candidates->size(), Exclusion::kNone);
  choice.limits.headroom_j = headroom_j;
  choice.limits.latency_budget_s = latency_budget_s;
  choice.limits.time_left_s = latency_budget_s;
  choice.first = first;
  Selector selector;
  choice.cascade = SelectFirst(selector, *choice.candidates, choice.limits, choice.first,
                               absl::MakeSpan(choice.excluded), choice.selection);
  return choice;
}

// small: 0.1 J and 20 ms; big: 1 J and 10 ms. A bypass to big whose joules another request took.
TEST(RecordedChoice, OfABypassThatFellBackIsMadeAgain) {
  auto candidates = std::make_shared<CandidateColumns>(2);
  candidates->Set(0, {0.8, 0.8, 0.5, 0.02, 0.02, 0.1, Exclusion::kNone});
  candidates->Set(1, {0.95, 0.95, 0.5, 0.01, 0.01, 1.0, Exclusion::kNone});
  // In time is either, or big alone: then no stage answers first.
  for (const double latency_budget_s : {1.0, 0.015}) {
    v1::Decision decision;
    decision.set_id("a");
    for (const char* expert : {"small", "big"}) decision.add_candidates()->set_expert(expert);
    const ExpertChoice bypassed = Chosen(candidates, 1, 2, latency_budget_s);
    ASSERT_TRUE(bypassed.cascade);
    RecordChoice(bypassed, 1, *decision.mutable_choice());
    const ExpertChoice left = Chosen(candidates, 0, 0.5, latency_budget_s);
    EXPECT_EQ(left.cascade, latency_budget_s == 1.0);
    RecordChoice(left, 2, *decision.mutable_choice());
    ASSERT_EQ(left.selection.chosen.size(), 1u);
    v1::Run& run = *decision.add_runs();
    run.set_expert(left.selection.chosen[0].expert == 0 ? "small" : "big");
    run.set_reason("chosen");
    BudgetTerms before, after;
    before.headroom_j = 2;
    after.headroom_j = 0.5;
    const std::vector<std::pair<uint64_t, BudgetTerms>> views = {{1, before}, {2, after}};
    Mismatches mismatches;
    EXPECT_TRUE(ReplayChoices(decision, views, mismatches))
        << (mismatches.first().empty() ? "" : mismatches.first()[0].what);
    EXPECT_EQ(decision.choice().score_size(), 2);
    // Of the same first, all choices are kept.
    RecordChoice(left, 2, *decision.mutable_choice());
    EXPECT_EQ(decision.choice().choices_size(), 2);
    EXPECT_EQ(decision.choice().score_size(), 2);
    EXPECT_TRUE(ReplayChoices(decision, views, mismatches));
  }
}

TEST_F(LoggedDecisions, OfATenantWithoutBudgetLeftAreRefusedAgain) {
  Build(absl::StrCat(kTwoExperts,
                     "budgets: [{resource: REQUESTS, amount: 2, per: DAY, hard: true}]\n",
                     LogYaml()));
  Drive(8);
  const DecisionReplayReport report = Replay(Lines());
  EXPECT_EQ(report.reproduced, 8u) << First(report);
}

TEST_F(LoggedDecisions, OfAFolderAreMadeAgainAndABrokenChainIsToldOf) {
  BuildPriced();
  Drive(20);
  Lines();
  const auto whole = ReplayDecisions(Path());
  ASSERT_THAT(whole.status(), IsOk());
  EXPECT_EQ(whole->reproduced, 20u) << First(*whole);
  EXPECT_THAT(whole->incomplete, IsEmpty());

  const std::string segment = absl::StrCat("decisions/", SegmentName(1));
  std::string text = dir_.Read(segment);
  text[text.size() / 2] ^= 1;
  dir_.Write(segment, text);
  const auto broken = ReplayDecisions(Path());
  ASSERT_THAT(broken.status(), IsOk());
  EXPECT_LT(broken->decisions, 20u);
  EXPECT_EQ(broken->mismatches.count(), 0u) << First(*broken);
  EXPECT_THAT(broken->incomplete, Contains(HasSubstr("the chain is broken 1 times, first at ")));
}

TEST_F(LoggedDecisions, RowByRowAreNotClaimed) {
  Build(absl::StrCat(R"(
pools:
- name: pool
  granularity: ROW
  experts:
  - {name: small, replicas: [{address: "small:1"}]}
  - {name: big, replicas: [{address: "big:1"}]}
  budgets: [{resource: JOULES, amount: 0.4, per: REQUEST}]
)",
                     LogYaml()));
  Drive(10);
  const DecisionReplayReport report = Replay(Lines());
  EXPECT_EQ(report.decisions, 10u);
  EXPECT_EQ(report.reproduced, 0u);
  EXPECT_THAT(report.not_replayed, Contains(Pair("row by row", 10)));
  EXPECT_EQ(report.mismatches.count(), 0u) << First(report);
}

TEST_F(LoggedDecisions, ExplainAndListingChangeNothing) {
  BuildPriced();
  Drive(40);
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(absl::Milliseconds(7));
    ASSERT_THAT(
        pipeline_->Explain(EncodeInferRequest(MakeRequest()), absl::InfiniteFuture(), {}, {})
            .status(),
        IsOk());
    EXPECT_THAT(pacer_->List("pool", ""), ::testing::SizeIs(1));
  }
  Drive(40);
  const DecisionReplayReport report = Replay(Lines());
  EXPECT_EQ(report.reproduced, 80u) << First(report);
}

TEST_F(LoggedDecisions, AreNotInMemoryOrInReports) {
  BuildPriced();
  Drive(3);
  EXPECT_FALSE(Last().has_choice());
  ASSERT_THAT(log_->Report(Last().id(), 1.0), IsOk());
  const DecisionReplayReport report = Replay(Lines());
  EXPECT_EQ(report.decisions, 3u);
  EXPECT_EQ(report.reports, 1u);
  EXPECT_EQ(report.reproduced, 3u) << First(report);
}

TEST_F(LoggedDecisions, AnotherNumberIsFoundAndNamed) {
  BuildPriced(absl::StrCat("  cascade: {first: small, file: ", CascadeFile(), "}\n"));
  Drive(60);
  const std::vector<std::string> lines = Lines();
  struct Flip {
    const char* what;
    std::function<bool(v1::Decision&)> flip;
  };
  const auto plain = [](const v1::Decision& d) {
    return d.choice().choices_size() == 1 && d.choice().choices(0).chosen_size() == 1 &&
           d.choice().choices(0).forced().empty();
  };
  const auto up = [](double value) { return std::nextafter(value, 1e300); };
  const Flip flips[] = {
      {"choice.price_per_joule",
       [&](v1::Decision& d) {
         if (!plain(d)) return false;
         v1::Choice& choice = *d.mutable_choice()->mutable_choices(0);
         choice.set_price_per_joule(up(choice.price_per_joule()));
         return true;
       }},
      {"choice.headroom_j",
       [&](v1::Decision& d) {
         if (!plain(d)) return false;
         v1::Choice& choice = *d.mutable_choice()->mutable_choices(0);
         choice.set_headroom_j(up(choice.headroom_j()));
         return true;
       }},
      {"choice.chosen",
       [&](v1::Decision& d) {
         if (!plain(d)) return false;
         v1::Choice& choice = *d.mutable_choice()->mutable_choices(0);
         choice.set_chosen(0, 1 - choice.chosen(0));
         return true;
       }},
      {"choice.chosen_weight[0]",
       [&](v1::Decision& d) {
         if (!plain(d)) return false;
         d.mutable_choice()->mutable_choices(0)->set_chosen_weight(0, up(1));
         return true;
       }},
      {"choice.net_worth",
       [&](v1::Decision& d) {
         if (!plain(d)) return false;
         v1::ChoiceRecord& record = *d.mutable_choice();
         const int chosen = static_cast<int>(record.choices(0).chosen(0));
         record.set_score(chosen, record.score(chosen) + 1e-9);
         return true;
       }},
      {"choice.chosen_latency_s",
       [&](v1::Decision& d) {
         if (!plain(d)) return false;
         v1::ChoiceRecord& record = *d.mutable_choice();
         const int chosen = static_cast<int>(record.choices(0).chosen(0));
         record.set_latency_s(chosen, up(record.latency_s(chosen)));
         return true;
       }},
      {"follow_up[0].price_per_joule",
       [&](v1::Decision& d) {
         if (d.choice().follow_ups().empty()) return false;
         v1::FollowUp& follow_up = *d.mutable_choice()->mutable_follow_ups(0);
         follow_up.set_price_per_joule(up(follow_up.price_per_joule()));
         return true;
       }},
      {"follow_up[0].option",
       [&](v1::Decision& d) {
         if (d.choice().follow_ups().empty() || !d.choice().follow_ups(0).has_option())
           return false;
         d.mutable_choice()->mutable_follow_ups(0)->clear_option();
         return true;
       }},
      {"run",
       [&](v1::Decision& d) {
         if (!plain(d) || d.runs_size() != 1) return false;
         d.mutable_runs(0)->set_expert(d.runs(0).expert() == "small" ? "big" : "small");
         return true;
       }},
      {"tenant", [&](v1::Decision& d) { return d.set_tenant("mallory"), true; }},
  };
  for (const Flip& flip : flips) {
    std::vector<std::string> changed = lines;
    std::string id;
    for (std::string& line : changed) {
      if (line.rfind("{\"id\"", 0) != 0) continue;
      v1::Decision decision;
      ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &decision).ok());
      if (!flip.flip(decision)) continue;
      google::protobuf::util::JsonPrintOptions options;
      options.preserve_proto_field_names = true;
      line.clear();
      ASSERT_TRUE(google::protobuf::util::MessageToJsonString(decision, &line, options).ok());
      id = decision.id();
      break;
    }
    ASSERT_FALSE(id.empty()) << flip.what;
    const DecisionReplayReport report = Replay(changed);
    EXPECT_TRUE(report.failed()) << flip.what;
    EXPECT_EQ(report.mismatched, 1u) << flip.what << " " << First(report);
    EXPECT_EQ(report.reproduced, report.decisions - 1) << flip.what;
    ASSERT_FALSE(report.mismatches.first().empty()) << flip.what;
    EXPECT_EQ(report.mismatches.first()[0].where, id);
    EXPECT_EQ(report.mismatches.first()[0].what, flip.what) << First(report);
  }
}

TEST_F(LoggedDecisions, ALostEventMakesTheLogIncomplete) {
  BuildPriced();
  Drive(60);
  std::vector<std::string> lines = Lines();
  size_t at = lines.size() / 2;
  while (lines[at].find("\"settle\"") == std::string::npos) ++at;
  lines.erase(lines.begin() + static_cast<long>(at));
  const DecisionReplayReport report = Replay(lines);
  EXPECT_FALSE(report.failed()) << First(report);
  EXPECT_LT(report.reproduced, 60u);
  EXPECT_GT(report.reproduced, 10u);
  EXPECT_THAT(report.not_replayed, Contains(Pair("events are missing", 60 - report.reproduced)));
  EXPECT_THAT(report.incomplete, ElementsAre(HasSubstr("1 lines were lost")));
}

TEST_F(LoggedDecisions, ATailCutOffMakesTheLogIncomplete) {
  BuildPriced();
  Drive(20);
  std::vector<std::string> lines = Lines();
  lines.resize(lines.size() - 3);
  lines.back().resize(lines.back().size() / 2);
  const DecisionReplayReport report = Replay(lines);
  EXPECT_THAT(report.incomplete, Contains(HasSubstr("does not end")));
  EXPECT_THAT(report.incomplete, Contains(HasSubstr("do not parse")));
}

TEST_F(LoggedDecisions, AFileThatIsNoLogIsRefused) {
  const std::string path = dir_.File("other");
  EXPECT_THAT(ReplayDecisions(path).status(), StatusIs(absl::StatusCode::kNotFound));
  std::ofstream(path) << "{\"hello\": 1}\n";
  EXPECT_THAT(ReplayDecisions(path).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(LoggedDecisions, WithoutAFileThePacerHasNoJournal) {
  Build(kTwoExperts);
  EXPECT_EQ(log_->journal(), nullptr);
  Drive(2);
  EXPECT_FALSE(Last().has_choice());
}

}  // namespace
}  // namespace penstock::router
