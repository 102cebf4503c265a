// Replicas behind names, whose addresses come and go.
#include <cmath>

#include "common/endpoint_names.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

class NamedReplicas : public RouterFixture {
 protected:
  static constexpr char kNamed[] =
      "pools:\n- {name: pool, experts: [{name: small, replicas: [{address: 'dns:///host:1'}]}]}\n";

  void TearDown() override {
    names_.Stop();
    RouterFixture::TearDown();
  }
  void BuildNamed(const std::string& yaml) {
    ASSERT_THAT(ReadYaml(yaml, config_), IsOk());
    auto catalogue = PoolCatalogue::Create(config_, false, timers_, clock_, connector_, &names_);
    ASSERT_THAT(catalogue.status(), IsOk());
    catalogue_ = *std::move(catalogue);
    catalogue_->Start();
    names_.Start([this] {
      catalogue_->RefreshNames();
      MutexLock lock(mutex_);
      ++rounds_;
      round_.NotifyAll();
    });
  }
  void Set(absl::StatusOr<std::vector<std::string>> found) {
    MutexLock lock(mutex_);
    found_ = std::move(found);
  }
  // Until it is so after a round.
  bool Await(const std::function<bool()>& is_so) {
    for (int i = 0; i < 3000; ++i) {
      if (is_so()) return true;
      MutexLock lock(mutex_);
      const int wanted = rounds_ + 1;
      while (rounds_ < wanted && round_.WaitFor(mutex_, absl::Seconds(1))) {
      }
    }
    return is_so();
  }
  std::vector<std::shared_ptr<router::Replica>> Replicas() {
    return catalogue_->Find("pool")->experts[0].replicas;
  }
  // Why the expert is left out, as it is told when it is asked the next time.
  bool AwaitLeftOut(const std::string& because) {
    return Await([&] {
      timers_.AdvanceAndRun(absl::Seconds(2));
      return catalogue_->Find("pool")->experts[0].left_out_because.find(because) !=
             std::string::npos;
    });
  }

  Mutex mutex_;
  CondVar round_;
  int rounds_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::StatusOr<std::vector<std::string>> found_ ABSL_GUARDED_BY(mutex_) =
      std::vector<std::string>{"small:1"};
  EndpointNames names_{[this](const std::string&, const std::string&) {
                         MutexLock lock(mutex_);
                         return found_;
                       },
                       absl::Milliseconds(5)};
};

TEST_F(NamedReplicas, ANameThatNobodyKnowsAndOneWithoutAddressesAreToldApart) {
  Set(absl::NotFoundError("host is not known"));
  BuildNamed(kNamed);
  EXPECT_TRUE(AwaitLeftOut("dns:///host:1 is not known"));
  Set(std::vector<std::string>());
  EXPECT_TRUE(AwaitLeftOut("dns:///host:1 is known, but has no addresses"));
  Set(absl::UnavailableError("host: Temporary failure in name resolution"));
  EXPECT_TRUE(AwaitLeftOut("dns:///host:1 cannot be looked up: host: Temporary failure"));
  Set(std::vector<std::string>{"small:1"});
  EXPECT_TRUE(Await([&] {
    timers_.AdvanceAndRun(absl::Seconds(2));
    return catalogue_->ready();
  }));
}

TEST_F(NamedReplicas, OneNameMoreThanAreLookedUpIsRefusedByName) {
  const auto config = [](size_t names) {
    std::string yaml = "pools:\n- name: pool\n  experts:\n";
    for (size_t i = 0; i < names; ++i) {
      absl::StrAppend(&yaml, "  - {name: e", i, ", replicas: [{address: 'dns:///h", i, ":1'}]}\n");
    }
    config::v1::Router read;
    EXPECT_THAT(ReadYaml(yaml, read), IsOk());
    return read;
  };
  EXPECT_THAT(
      PoolCatalogue::Create(config(256), false, timers_, clock_, connector_, &names_).status(),
      IsOk());
  EXPECT_THAT(
      PoolCatalogue::Create(config(257), false, timers_, clock_, connector_, &names_).status(),
      StatusIs(StatusCode::kInvalidArgument,
               HasSubstr("expert e256: replicas: dns:///h256:1 is one name more than the 256")));
}

TEST_F(NamedReplicas, AReplicaThatHasLeftIsGoneThoughAPromotionCanBeTakenBack) {
  const auto quality = [&](const std::string& name, float p) {
    EXPECT_THAT(WriteSafetensors(dir_.File(name),
                                 {{"weight", {1, 4}, std::vector<float>(4, 0.0f)},
                                  {"bias", {1}, {std::log(p / (1 - p))}},
                                  {"mean", {1}, {p}}},
                                 {{"experts", R"(["small"])"}}),
                IsOk());
    return dir_.File(name);
  };
  BuildNamed(
      absl::StrCat("pools:\n- name: pool\n"
                   "  experts: [{name: small, replicas: [{address: 'dns:///host:1'}]}]\n"
                   "  features: {tensor_pooling: {input: x}}\n  quality_file: ",
                   quality("live.safetensors", 0.9f),
                   "\n  shadow: {quality_file: ", quality("shadow.safetensors", 0.8f), "}\n"));
  ASSERT_TRUE(Await([&] {
    timers_.AdvanceAndRun(absl::Seconds(2));
    return catalogue_->ready();
  }));
  const std::weak_ptr<router::Replica> left = Replicas()[0];
  const auto promoted = catalogue_->Promote("pool", "", PromotedBy::kCommand);
  ASSERT_THAT(promoted.status(), IsOk());
  Set(std::vector<std::string>{"small:2"});
  ASSERT_TRUE(
      Await([&] { return Replicas().size() == 1 && Replicas()[0]->address() == "small:2"; }));
  EXPECT_TRUE(Await([&] { return left.expired(); }));
  EXPECT_THAT(
      catalogue_->Promote("pool", promoted->previous_version, PromotedBy::kCommand).status(),
      IsOk());
  EXPECT_EQ(Replicas()[0]->address(), "small:2");
}

}  // namespace
}  // namespace penstock::router
