#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;

// Three experts are asked at once, and two answers are enough.
class FirstAnswers : public RouterFixture {
 protected:
  void BuildThree(const std::string& more) {
    Replica("third:1").facts = ModelFacts(0.001, 0.1);
    Build(absl::StrCat(R"(
pools:
- name: pool
  selection: {max_experts: 3}
  combiner: MAJORITY
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
  - {name: third, quality: 0.8, replicas: [{address: "third:1"}]}
)",
                       more));
  }
};

TEST_F(FirstAnswers, TheRestIsCancelledAndNothingIsGivenUp) {
  BuildThree("  min_answers: 2\n");
  Target("small:1").AnswerWith(MakeReply(1, 0.1f, 0.1));
  Target("third:1").AnswerWith(MakeReply(1, 0.2f, 0.1));
  const auto call = Send(MakeRequest());  // `big` is silent
  ASSERT_TRUE(call->finished());
  const InferReply reply = call->WaitForReply();
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"), ElementsAre(FloatEq(0), FloatEq(1)));
  EXPECT_EQ(Text(reply, "penstock_experts"), "small,third");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "(none)");
  ASSERT_EQ(Last().runs_size(), 3);
  const v1::Decision last = Last();
  for (const v1::Run& run : last.runs()) {
    EXPECT_EQ(run.status(), run.expert() == "big" ? "CANCELLED" : "OK") << run.expert();
  }
  // What left no trailer is charged as predicted, 1 J.
  EXPECT_NEAR(Last().energy_j(), 1.2, 1e-6);
}

TEST_F(FirstAnswers, AFailureIsNoAnswer) {
  BuildThree("  min_answers: 2\n");
  InferReply failed;
  failed.status = absl::InternalError("broken");
  Target("small:1").AnswerWith(failed);
  Target("third:1").AnswerWith(MakeReply(1, 0.2f, 0.1));
  const auto call = Send(MakeRequest());
  EXPECT_FALSE(call->finished());  // one answer so far
  ASSERT_EQ(Target("big:1").calls().size(), 1u);
  Target("big:1").calls()[0]->Reply(MakeReply(1, 0.9f, 1.0));
  ASSERT_TRUE(call->finished());
  EXPECT_EQ(Text(call->WaitForReply(), "penstock_degraded"), "expert_failed");
}

TEST_F(FirstAnswers, WithoutIt) {
  BuildThree("");
  Target("small:1").AnswerWith(MakeReply(1, 0.1f, 0.1));
  Target("third:1").AnswerWith(MakeReply(1, 0.2f, 0.1));
  const auto call = Send(MakeRequest());
  EXPECT_FALSE(call->finished());
  Target("big:1").calls()[0]->Reply(MakeReply(1, 0.9f, 1.0));
  EXPECT_TRUE(call->finished());
}

TEST_F(FirstAnswers, TheNumberHasARange) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(absl::StrCat(kTwoExperts, "  min_answers: 17\n"), config), IsOk());
  const auto catalogue = PoolCatalogue::Create(config, false, timers_, clock_, connector_);
  EXPECT_THAT(std::string(catalogue.status().message()),
              HasSubstr("min_answers is 17, wanted [1, 16]"));
}

}  // namespace
}  // namespace penstock::router
