// Budgets of dollars and accelerator seconds steer the choice, from configuration to settlement.
#include "router_service/simulation/decisions/decision_replay.h"

#include "tests/router_service/pipeline_tests/router_fixture.h"
#include "tests/router_service/recording/logged_lines.h"

namespace penstock::router {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// `small` costs $.001 a request and `big` $.01.
constexpr char kPriced[] = R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, dollars: {per_request: 0.001}, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, dollars: {per_request: 0.01}, replicas: [{address: "big:1"}]}
)";

// A reply whose trailer tells busy seconds.
InferReply BusyReply(float first, double joules, double seconds) {
  InferReply reply = MakeReply(1, first, std::nullopt);
  xds::data::orca::v3::OrcaLoadReport report;
  (*report.mutable_request_cost())["joules"] = joules;
  (*report.mutable_named_metrics())["energy_method"] = 1;
  (*report.mutable_request_cost())["compute_seconds"] = seconds;
  reply.trailers.emplace_back(std::string(kOrcaKeyOfOurs), report.SerializeAsString());
  return reply;
}

class DollarsPipeline : public RouterFixture {
 protected:
  // -> requests that `big` answered.
  int Drive(int requests) {
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
    int big = 0;
    for (int i = 0; i < requests; ++i) {
      clock_.Advance(absl::Milliseconds(20));
      const InferReply reply = Ask(MakeRequest());
      EXPECT_THAT(reply.status, IsOk());
      big += Text(reply, "penstock_experts") == "big";
    }
    return big;
  }
  std::string Path() { return dir_.File("decisions"); }
  std::string LogYaml() { return absl::StrCat("decision_log: {directory: ", Path(), "}\n"); }
  std::vector<std::string> Lines() {
    pipeline_ = nullptr;
    pacer_ = nullptr;
    log_ = nullptr;
    return LinesIn(Path());
  }
  static void ExpectAllMadeAgain(const std::vector<std::string>& lines, uint64_t decisions) {
    DecisionReplay replay;
    for (const std::string& line : lines) replay.Add(line);
    const DecisionReplayReport report = replay.Finish();
    EXPECT_EQ(report.reproduced, decisions);
    EXPECT_THAT(report.incomplete, IsEmpty());
    EXPECT_EQ(report.mismatches.count(), 0u)
        << report.mismatches.first().front().where << " " << report.mismatches.first().front().what;
  }
};

TEST_F(DollarsPipeline, WithoutABudgetTheBestAnswers) {
  Build(kPriced);
  EXPECT_EQ(Drive(20), 20);
  EXPECT_EQ(Last().prices().count("dollar"), 0u);
}

// $.004 = $.001 + $.009 / 3: a third of the requests go to `big`.
TEST_F(DollarsPipeline, AMeanOfDollarsIsKeptByTheChoice) {
  Build(absl::StrCat(kPriced, "  budgets: [{resource: DOLLARS, amount: 0.004, per: REQUEST}]\n"));
  const double mean = 0.001 + 0.009 * Drive(1500) / 1500.0;
  EXPECT_LE(mean, 0.004 * (1 + 1e-9));
  EXPECT_GE(mean, 0.004 * 0.95);
  const v1::Decision last = Last();
  EXPECT_GT(last.prices().at("dollar"), 0);
  EXPECT_EQ(last.candidates(1).amounts().at("dollar"), 0.01);
  EXPECT_EQ(last.amounts().at("dollar"), last.runs(0).expert() == "big" ? 0.01 : 0.001);
  EXPECT_THAT(last.reason(), HasSubstr("a dollar"));
}

TEST_F(DollarsPipeline, APriceByTheRowAndTheSecondCounts) {
  Build(R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - name: big
    quality: 0.95
    dollars: {per_request: 1, per_row: 2, per_accelerator_second: 1000}
    replicas: [{address: "big:1"}]
  budgets: [{resource: DOLLARS, amount: 100, per: REQUEST}]
)");
  Target("big:1").AnswerWith(MakeReply(3, 0.9f, 1.0));
  ASSERT_THAT(Ask(MakeRequest(3)).status, IsOk());
  // 10 ms a row as described; the reply tells no seconds.
  EXPECT_NEAR(Last().candidates(1).amounts().at("dollar"), 1 + 2 * 3 + 1000 * 0.03, 1e-9);
  const double spent = pacer_->List("pool", "").at(0).spent();
  EXPECT_NEAR(spent, Last().amounts().at("dollar"), 1e-9);
  EXPECT_GT(spent, 1 + 2 * 3);
}

TEST_F(DollarsPipeline, WhatFailedIsNotPaidFor) {
  Build(absl::StrCat(kPriced, "  budgets: [{resource: DOLLARS, amount: 1, per: REQUEST}]\n"));
  Target("big:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  ASSERT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_EQ(Last().runs_size(), 2);
  EXPECT_EQ(Last().amounts().at("dollar"), 0.001);
}

TEST_F(DollarsPipeline, ATenantsDollarsSteerItsRequestsAlone) {
  Build(absl::StrCat(
      kPriced, "  budgets: [{resource: DOLLARS, amount: 0.001, per: REQUEST, tenant: acme}]\n"));
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  int acme = 0, zeta = 0;
  for (int i = 0; i < 60; ++i) {
    acme += Text(Ask(MakeRequest(), Rights({}, "acme")), "penstock_experts") == "big";
    zeta += Text(Ask(MakeRequest(), Rights({}, "zeta")), "penstock_experts") == "big";
  }
  EXPECT_EQ(acme, 0);
  EXPECT_EQ(zeta, 60);
}

TEST_F(DollarsPipeline, AcceleratorSecondsAreExpectedAndSettledAsReported) {
  Build(absl::StrCat(
      kPriced, "  budgets: [{resource: ACCELERATOR_SECONDS, amount: 0.004, per: REQUEST}]\n"));
  const auto busy = [this](const std::string& address, double s) {
    Target(address).AnswerWith([this, s](const Bytes&, const CallOptions&) {
      clock_.Advance(absl::Seconds(s));
      return BusyReply(0.9f, 1.0, s);
    });
  };
  busy("small:1", 0.001);
  busy("big:1", 0.010);
  double seconds = 0;
  for (int i = 0; i < 1500; ++i) {
    clock_.Advance(absl::Milliseconds(20));
    ASSERT_THAT(Ask(MakeRequest()).status, IsOk());
    seconds += Last().amounts().at("accelerator_second");
  }
  EXPECT_LE(seconds / 1500, 0.004 * 1.02);
  EXPECT_GE(seconds / 1500, 0.004 * 0.9);
}

TEST_F(DollarsPipeline, DecisionsAreMadeAgainFromTheLog) {
  Build(absl::StrCat(kPriced, R"(  budgets:
  - {resource: DOLLARS, amount: 0.004, per: REQUEST}
  - {resource: ACCELERATOR_SECONDS, amount: 60000, per: DAY, hard: true}
  - {resource: JOULES, amount: 0.6, per: REQUEST}
)",
                     LogYaml()));
  const int big = Drive(400);
  EXPECT_GT(big, 20);
  EXPECT_LT(big, 380);
  const std::vector<std::string> lines = Lines();
  EXPECT_THAT(lines, Contains(HasSubstr("\"resource\":\"DOLLARS\"")));
  ExpectAllMadeAgain(lines, 400);
}

TEST_F(DollarsPipeline, ACascadeEscalatesAtThePriceOfDollars) {
  Build(absl::StrCat(kPriced, "  budgets: [{resource: DOLLARS, amount: 0.004, per: REQUEST}]\n",
                     "  cascade: {first: small, file: ", CascadeFile(), "}\n", LogYaml()));
  // A third of the requests may go on, $.01 each, beside the $.001 of all: the least sure ones.
  CounterRandom random(5, 1);
  int escalated = 0, sure_ones = 0;
  constexpr int kRequests = 800;
  Target("big:1").AnswerWith(MakeReply(1, 0.99f, 1.0));
  for (int i = 0; i < kRequests; ++i) {
    clock_.Advance(absl::Milliseconds(20));
    const float sure = 0.5f + 0.4f * static_cast<float>(random.Uniform());
    Target("small:1").AnswerWith(MakeReply(1, sure, 0.1));
    ASSERT_THAT(Ask(MakeRequest()).status, IsOk());
    const bool went_on = Last().runs_size() == 2;
    escalated += went_on;
    if (i >= kRequests / 2) sure_ones += went_on && sure > 0.75f;
  }
  const double mean = 0.001 + 0.010 * escalated / kRequests;
  EXPECT_LE(mean, 0.004 * (1 + 1e-9));
  EXPECT_GE(mean, 0.004 * 0.93);
  EXPECT_LT(sure_ones, 20);  // of about 150
  ExpectAllMadeAgain(Lines(), kRequests);
}

TEST_F(DollarsPipeline, PricesThatAreNoneAreRefusedByName) {
  ASSERT_THAT(ReadYaml(R"(
pools:
- name: pool
  experts:
  - {name: small, dollars: {per_row: -1}, replicas: [{address: "small:1"}]}
)",
                       config_),
              IsOk());
  const auto catalogue = PoolCatalogue::Create(config_, false, timers_, clock_, connector_);
  EXPECT_THAT(std::string(catalogue.status().message()),
              HasSubstr("expert small: dollars has -1, wanted finite prices of at least 0"));
}

}  // namespace
}  // namespace penstock::router
