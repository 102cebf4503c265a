// Of a cacheable pool: experts that serve something else under the same configuration make another
// answer version.
#include "common/notification.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::Ne;

class ServedContentTest : public RouterFixture {
 protected:
  static constexpr char kCacheable[] = "  cacheable: {}\n";

  // The replica serves `content` from here on, and its load stream says that something is another.
  void Serve(const std::string& address, const std::string& content) {
    FakeReplica& replica = Replica(address);
    replica.facts->description->set_content_digest(content);
    v1::Load load;
    load.set_models_fingerprint(++fingerprint_);
    // Whoever follows since the pool was last configured: earlier ones may be gone.
    replica.load_sinks.back()(load);
  }
  std::string Version() { return catalogue_->Find("pool")->answer_version; }

  uint64_t fingerprint_ = 0;
};

TEST_F(ServedContentTest, OtherWeightsAreAnotherAnswerVersionAndTheOldOnesTheOldOne) {
  Build(absl::StrCat(kTwoExperts, kCacheable));
  Serve("small:1", "a");
  Serve("big:1", "b");
  const std::string first = Version();
  EXPECT_EQ(first.size(), 64u);
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  EXPECT_EQ(FindMetadata(Ask(MakeRequest()).trailers, kAnswerVersionMetadata), first);
  Serve("big:1", "c");
  EXPECT_THAT(Version(), Ne(first));
  EXPECT_EQ(FindMetadata(Ask(MakeRequest()).trailers, kAnswerVersionMetadata), Version());
  Serve("big:1", "b");
  EXPECT_EQ(Version(), first);
}

TEST_F(ServedContentTest, ARequestUnderWayHasTheVersionThatItBeganWith) {
  Build(absl::StrCat(kTwoExperts, kCacheable));
  Serve("small:1", "a");
  Serve("big:1", "b");
  const std::string first = Version();
  const auto call = Send(MakeRequest());
  Serve("big:1", "c");
  Target("big:1").WaitForCall(0)->Reply(MakeReply(1, 0.9f, 1.0));
  EXPECT_EQ(FindMetadata(call->WaitForReply().trailers, kAnswerVersionMetadata), first);
}

TEST_F(ServedContentTest, AsksOnlyWhereTheLoadSaysThatSomethingIsAnother) {
  Build(absl::StrCat(kTwoExperts, kCacheable));
  Serve("small:1", "a");
  const size_t asked = Replica("small:1").asked_models.size();
  const std::string version = Version();
  Replica("small:1").facts->description->set_content_digest("unseen");
  v1::Load load;
  load.set_models_fingerprint(fingerprint_);
  for (int i = 0; i < 10; ++i) {
    for (const auto& sink : Replica("small:1").load_sinks) sink(load);
  }
  EXPECT_EQ(Replica("small:1").asked_models.size(), asked);
  EXPECT_EQ(Version(), version);
}

TEST_F(ServedContentTest, AModelThatIsGoneForAWhileChangesNothing) {
  Build(absl::StrCat(kTwoExperts, kCacheable));
  Serve("small:1", "a");
  const std::string version = Version();
  const ReplicaFacts facts = *Replica("small:1").facts;
  Replica("small:1").facts = absl::NotFoundError("no model small");
  v1::Load load;
  load.set_models_fingerprint(++fingerprint_);
  for (const auto& sink : Replica("small:1").load_sinks) sink(load);
  EXPECT_EQ(Version(), version);
  Replica("small:1").facts = facts;
  Serve("small:1", "b");
  EXPECT_THAT(Version(), Ne(version));
}

TEST_F(ServedContentTest, ADescriptionThatFailedIsAskedForAgain) {
  Build(absl::StrCat(kTwoExperts, kCacheable));
  Serve("small:1", "a");
  const std::string version = Version();
  FakeReplica& replica = Replica("small:1");
  const ReplicaFacts facts = *replica.facts;
  v1::Load load;
  load.set_models_fingerprint(++fingerprint_);
  for (const absl::Status& failed :
       {absl::DeadlineExceededError("late"), absl::ResourceExhaustedError("busy")}) {
    replica.facts->description.reset();
    replica.facts->described = failed;
    replica.load_sinks.back()(load);
    EXPECT_EQ(Version(), version) << failed;
  }
  replica.facts = facts;
  replica.facts->description->set_content_digest("b");
  replica.load_sinks.back()(load);
  EXPECT_THAT(Version(), Ne(version));
}

TEST_F(ServedContentTest, WhoHasNoDescriptionsIsAskedOnce) {
  Build(absl::StrCat(kTwoExperts, kCacheable));
  FakeReplica& replica = Replica("small:1");
  replica.facts->description.reset();
  replica.facts->described = absl::UnimplementedError("no such service");
  v1::Load load;
  load.set_models_fingerprint(++fingerprint_);
  replica.load_sinks.back()(load);
  const size_t asked = replica.asked_models.size();
  for (int i = 0; i < 10; ++i) replica.load_sinks.back()(load);
  EXPECT_EQ(replica.asked_models.size(), asked);
}

TEST_F(ServedContentTest, WhatReplicasServeCountsWhicheverOfThemServesIt) {
  constexpr char kReplicas[] = R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}, {address: "small:2"}]}]
  cacheable: {}
)";
  Build(kReplicas);
  Serve("small:1", "a");
  Serve("small:2", "b");
  const std::string mixed = Version();
  Serve("small:1", "b");
  const std::string settled = Version();
  EXPECT_THAT(settled, Ne(mixed));
  Serve("small:2", "a");
  EXPECT_EQ(Version(), mixed);
  Serve("small:2", "b");
  EXPECT_EQ(Version(), settled);
}

TEST_F(ServedContentTest, StaysKnownWhereThePoolChanges) {
  Build(absl::StrCat(kTwoExperts, kCacheable));
  Serve("small:1", "a");
  Serve("big:1", "b");
  const std::string version = Version();
  config::v1::Router next;
  // The time that answers are kept makes no other answers.
  ASSERT_THAT(ReadYaml(absl::StrCat(kTwoExperts, "  cacheable: {ttl: 5s}\n"), next), IsOk());
  Notification give_up;
  auto staged = catalogue_->Stage(next, absl::ZeroDuration(), give_up);
  ASSERT_THAT(staged.status(), IsOk());
  catalogue_->Commit(*std::move(staged));
  EXPECT_EQ(Version(), version);
  Serve("big:1", "c");
  EXPECT_THAT(Version(), Ne(version));
}

TEST_F(ServedContentTest, NobodyAsksForAPoolThatIsNotCacheable) {
  Build(kTwoExperts);
  EXPECT_EQ(Replica("small:1").load_sinks.size(), 1u);
  EXPECT_EQ(Version(), "");
}

}  // namespace
}  // namespace penstock::router
