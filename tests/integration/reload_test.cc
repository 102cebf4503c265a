// Configurations that change while requests are running: none of them fails, what is wrong is
// refused with its reason and what served goes on serving, and what was learnt stays.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "cli/client/metrics_scrape.h"
#include "common/net/caller_rights.h"
#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", threads: 1, drain: {grace: 0s}})";

// Eight requests at a time for one pool, until it ends.
class Traffic {
 public:
  Traffic(const std::string& address, const std::string& pool) {
    for (int i = 0; i < 8; ++i) {
      threads_.emplace_back([this, address, pool] {
        TestClient client(address);
        while (!stop_.HasBeenNotified()) {
          const InferReply reply = client.Call(TinyRequest(pool));
          if (reply.status.ok()) {
            answered_.fetch_add(1);
            continue;
          }
          failed_.fetch_add(1);
          MutexLock lock(mutex_);
          failures_.push_back(reply.status.ToString());
        }
      });
    }
  }
  ~Traffic() { Stop(); }

  // Many more are answered from here on.
  void Flow() {
    const int64_t before = answered_.load();
    EXPECT_TRUE(Eventually([&] { return answered_.load() > before + 200; }));
  }
  void Stop() {
    stop_.Notify();
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
    MutexLock lock(mutex_);
    EXPECT_EQ(failed_.load(), 0) << failures_.front();
  }
  int64_t answered() const { return answered_.load(); }

 private:
  Notification stop_;
  std::atomic<int64_t> answered_{0}, failed_{0};
  Mutex mutex_;
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

// The sample of one label set; 0 where there is none.
double Metric(const Process& process, const std::string& name) {
  const auto text = cli::ScrapeMetrics(process.metrics());
  if (!text.ok()) return -1;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    double value = 0;
    if (absl::StartsWith(line, name + " ") &&
        absl::SimpleAtod(line.substr(name.size() + 1), &value)) {
      return value;
    }
  }
  return 0;
}
double Reloads(const Process& process, const std::string& result) {
  return Metric(process, absl::StrCat("penstock_config_reloads_total{result=\"", result, "\"}"));
}
// Reloads with this result came to `count`.
bool CameTo(const Process& process, const std::string& result, double count) {
  return Eventually([&] { return Reloads(process, result) == count; });
}
double Version(const Process& process) { return Metric(process, "penstock_config_version"); }

std::unique_ptr<Process> StartExperts(const TempDir& models, const std::string& server = kServer) {
  return Process::Start("penstock-expert",
                        absl::Substitute("server: $0\nmodel_repository: $1\n"
                                         "metering: {source: MODELLED}\ntrust_plaintext: true\n"
                                         "execution: {threads: 1, warm_up_runs: 1}\n",
                                         server, models.path()));
}

class RouterReloadTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(models_, "small");
    WriteTinyModel(models_, "big");
    WriteQuality(2, -2);
    experts_ = StartExperts(models_);
    ASSERT_NE(experts_, nullptr);
    router_ = Process::Start("penstock-router", Config());
    ASSERT_NE(router_, nullptr);
    client_ = std::make_unique<TestClient>(router_->grpc());
    ASSERT_TRUE(client_->WaitForExperts());
  }
  void TearDown() override {
    client_ = nullptr;
    if (router_ == nullptr) return;
    EXPECT_EQ(router_->Stop(), 0);
  }

  // `more`: of the pool; `pools`: further ones. It ends in YAML's marker, so that a part of it is
  // none.
  std::string Config(const std::string& more = "", const std::string& pools = "") const {
    return absl::Substitute(R"(server: $0
trust_plaintext: true
pools:
  - name: tiny
    experts:
      - {name: small, replicas: [{address: "$1"}]}
      - {name: big, replicas: [{address: "$1"}]}
    features: {tensor_pooling: {input: x}}
    quality_file: "$2"
$3$4
...
)",
                            kServer, experts_->grpc(), folder_.File("quality"), more, pools);
  }
  std::string OtherPool() const {
    return absl::Substitute(R"(
  - name: other
    experts: [{name: big, replicas: [{address: "$0"}]}]
)",
                            experts_->grpc());
  }
  // Which believes in `small` by one logit and in `big` by the other, whatever the request.
  void WriteQuality(float small, float big) {
    const absl::Status written = WriteSafetensors(folder_.File("quality.new"),
                                                  {{"weight", {2, 4}, std::vector<float>(8, 0.0f)},
                                                   {"bias", {2}, {small, big}},
                                                   {"mean", {2}, {0.5f, 0.5f}}},
                                                  {{"experts", R"(["small","big"])"}});
    ASSERT_TRUE(written.ok()) << written;
    fs::rename(folder_.File("quality.new"), folder_.File("quality"));
  }
  std::string Asked() { return client_->Answered(TinyRequest("tiny")).Text("penstock_experts"); }

  TempDir models_, folder_;
  std::unique_ptr<Process> experts_, router_;
  std::unique_ptr<TestClient> client_;
};

TEST_F(RouterReloadTest, ChangesUnderLoadAndRefusesWhatIsWrong) {
  Traffic traffic(router_->grpc(), "tiny");
  traffic.Flow();
  const double first = Version(*router_);
  EXPECT_EQ(client_->Call(TinyRequest("other")).status.code(), absl::StatusCode::kNotFound);

  router_->Reconfigure(Config("    max_in_flight: 512\n", OtherPool()));
  ASSERT_TRUE(CameTo(*router_, "applied", 1)) << router_->Log();
  EXPECT_TRUE(Eventually([&] { return client_->Call(TinyRequest("other")).status.ok(); }));
  const double second = Version(*router_);
  EXPECT_NE(second, first);
  traffic.Flow();

  // Wrong by a value, by a field that is fixed, and cut off in three ways.
  const std::string good = Config("    max_in_flight: 512\n", OtherPool());
  router_->Reconfigure(Config("    selection: {max_experts: 17}\n", OtherPool()));
  ASSERT_TRUE(CameTo(*router_, "refused", 1));
  EXPECT_THAT(router_->Log(), HasSubstr("selection.max_experts is 17"));
  router_->Reconfigure("seed: 5\n" + good);
  ASSERT_TRUE(CameTo(*router_, "refused", 2));
  EXPECT_THAT(router_->Log(), HasSubstr("seed: cannot change while the router runs"));
  double refused = 2;
  for (const size_t size : {good.size() - 1, good.find("  - name: other"), size_t{0}}) {
    router_->Reconfigure(good.substr(0, size));
    ASSERT_TRUE(CameTo(*router_, "refused", ++refused)) << router_->Log();
  }
  EXPECT_THAT(router_->Log(), HasSubstr("the file seems cut off"));
  EXPECT_EQ(Version(*router_), second);
  EXPECT_TRUE(client_->Call(TinyRequest("other")).status.ok());
  traffic.Flow();

  router_->Reconfigure(good);
  ASSERT_TRUE(CameTo(*router_, "unchanged", 1));
  router_->Hangup();
  ASSERT_TRUE(CameTo(*router_, "unchanged", 2));

  router_->Reconfigure(Config());
  ASSERT_TRUE(CameTo(*router_, "applied", 2));
  EXPECT_EQ(client_->Call(TinyRequest("other")).status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Version(*router_), first);
  traffic.Flow();
  traffic.Stop();
  EXPECT_EQ(Reloads(*router_, "applied"), 2);
  EXPECT_EQ(Reloads(*router_, "refused"), 5);
}

TEST_F(RouterReloadTest, FollowsAFileThatItsPoolsNameAndRefusesItsHalf) {
  Traffic traffic(router_->grpc(), "tiny");
  traffic.Flow();
  EXPECT_EQ(Asked(), "small");
  WriteQuality(-2, 2);
  ASSERT_TRUE(CameTo(*router_, "applied", 1)) << router_->Log();
  EXPECT_EQ(Asked(), "big");
  traffic.Flow();

  const std::string whole = folder_.Read("quality");
  folder_.Write("quality", whole.substr(0, whole.size() / 2));
  ASSERT_TRUE(Eventually([&] { return Reloads(*router_, "refused") >= 1; })) << router_->Log();
  EXPECT_THAT(router_->Log(), HasSubstr("quality_file"));
  EXPECT_EQ(Asked(), "big");
  traffic.Flow();
  traffic.Stop();
  EXPECT_EQ(Reloads(*router_, "applied"), 1);
}

TEST_F(RouterReloadTest, WhatWasCountedAndLearntStays) {
  {
    Traffic traffic(router_->grpc(), "tiny");
    traffic.Flow();
  }
  const auto expert = [&](const std::string& name) {
    grpc::ClientContext context;
    client_->pool_client().Prepare(context, absl::Seconds(20));
    v1::ListExpertsRequest request;
    request.set_pool("tiny");
    v1::ListExpertsResponse response;
    EXPECT_TRUE(client_->pool_client().routing().ListExperts(&context, request, &response).ok());
    for (const v1::ExpertStatus& each : response.experts()) {
      if (each.name() == name) return each;
    }
    ADD_FAILURE() << "no expert " << name;
    return v1::ExpertStatus();
  };
  const v1::ExpertStatus before = expert("small");
  ASSERT_GE(before.replicas_size(), 1);
  EXPECT_GE(before.replicas(0).requests(), 200u);
  // Another promise: the pool's record is made anew.
  router_->Reconfigure(Config("    selection: {latency_quantile: 0.9}\n"));
  ASSERT_TRUE(CameTo(*router_, "applied", 1)) << router_->Log();
  const v1::ExpertStatus after = expert("small");
  EXPECT_EQ(after.replicas(0).requests(), before.replicas(0).requests());
}

TEST_F(RouterReloadTest, ANameStandsForItsAddresses) {
  const std::string port = experts_->grpc().substr(experts_->grpc().rfind(':'));
  router_->Reconfigure(Config("", absl::Substitute(R"(
  - name: named
    experts: [{name: big, replicas: [{address: "dns:///localhost$0"}]}]
)",
                                                   port)));
  ASSERT_TRUE(CameTo(*router_, "applied", 1)) << router_->Log();
  EXPECT_TRUE(Eventually([&] { return client_->Call(TinyRequest("named")).status.ok(); }));
}

TEST(ExpertReloadTest, ServesNewVersionsUnderLoadAndRefusesBrokenOnes) {
  TempDir models;
  WriteTinyModel(models, "small");
  const auto expert = StartExperts(models);
  ASSERT_NE(expert, nullptr);
  auto oip = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel(expert->grpc(), grpc::InsecureChannelCredentials()));
  const auto version = [&] {
    grpc::ClientContext context;
    inference::ModelMetadataRequest request;
    request.set_name("small");
    inference::ModelMetadataResponse response;
    return oip->ModelMetadata(&context, request, &response).ok()
               ? response.versions(response.versions_size() - 1)
               : "none";
  };
  Traffic traffic(expert->grpc(), "small");
  traffic.Flow();
  EXPECT_EQ(version(), "1");

  // A folder that is complete when it comes.
  fs::copy(models.File("small/1"), models.File("small/coming"));
  fs::rename(models.File("small/coming"), models.File("small/2"));
  ASSERT_TRUE(CameTo(*expert, "applied", 1)) << expert->Log();
  EXPECT_EQ(version(), "2");
  traffic.Flow();

  const std::string whole = models.Read("small/1/model.safetensors");
  models.Write("small/coming/model.safetensors", whole.substr(0, whole.size() - 3));
  fs::rename(models.File("small/coming"), models.File("small/3"));
  ASSERT_TRUE(CameTo(*expert, "refused", 1)) << expert->Log();
  EXPECT_THAT(expert->Log(), HasSubstr("small/3/model.safetensors"));
  EXPECT_EQ(version(), "2");
  traffic.Flow();
  traffic.Stop();
  oip = nullptr;  // gRPC looks at an idle channel every 5 s, and the drain waits for it
  EXPECT_EQ(expert->Stop(), 0);
}

TEST(ExpertReloadTest, LoadsAndUnloadsForCallersWithTheAdminRight) {
  TempDir models;
  WriteTinyModel(models, "small");
  WriteTinyModel(models, "big");
  const auto expert = StartExperts(models);
  ASSERT_NE(expert, nullptr);
  auto oip = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel(expert->grpc(), grpc::InsecureChannelCredentials()));
  const auto change = [&](const std::string& model, bool load, const std::string& rights) {
    grpc::ClientContext context;
    context.AddMetadata(kTenantMetadata, "operators");
    if (!rights.empty()) context.AddMetadata(kRightsMetadata, rights);
    if (load) {
      inference::RepositoryModelLoadRequest request;
      request.set_model_name(model);
      inference::RepositoryModelLoadResponse response;
      return oip->RepositoryModelLoad(&context, request, &response);
    }
    inference::RepositoryModelUnloadRequest request;
    request.set_model_name(model);
    inference::RepositoryModelUnloadResponse response;
    return oip->RepositoryModelUnload(&context, request, &response);
  };
  TestClient client(expert->grpc());
  Traffic traffic(expert->grpc(), "small");
  EXPECT_EQ(change("big", false, "forced_experts").error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(client.Call(TinyRequest("big")).status.ok());
  EXPECT_TRUE(change("big", false, "admin").ok());
  EXPECT_EQ(client.Call(TinyRequest("big")).status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(change("big", false, "admin").error_code(), grpc::StatusCode::NOT_FOUND);
  // Reading the repository again does not bring it back; loading it does.
  expert->Hangup();
  ASSERT_TRUE(CameTo(*expert, "unchanged", 1)) << expert->Log();
  EXPECT_EQ(client.Call(TinyRequest("big")).status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(change("big", true, "admin").ok());
  EXPECT_TRUE(client.Call(TinyRequest("big")).status.ok());

  const grpc::Status outside = change("../small", true, "admin");
  EXPECT_EQ(outside.error_code(), grpc::StatusCode::NOT_FOUND) << outside.error_message();
  models.Write("big/1/model.safetensors", "not weights");
  const grpc::Status broken = change("big", true, "admin");
  EXPECT_FALSE(broken.ok());
  EXPECT_THAT(broken.error_message(), HasSubstr("big/1/model.safetensors"));
  EXPECT_TRUE(client.Call(TinyRequest("big")).status.ok());
  traffic.Stop();
  oip = nullptr;  // gRPC looks at an idle channel every 5 s, and the drain waits for it
  EXPECT_EQ(expert->Stop(), 0);
}

TEST(GatewayReloadTest, ExchangesItsRoutersUnderLoad) {
  FakeExpert expert;
  const auto router = [&] {
    return Process::Start(
        "penstock-router",
        absl::Substitute("server: $0\ntrust_plaintext: true\npools:\n- name: tiny\n  experts: "
                         "[{name: small, replicas: [{address: \"$1\"}]}]\n",
                         kServer, expert.address()));
  };
  const auto a = router();
  const auto b = router();
  ASSERT_TRUE(a != nullptr && b != nullptr);
  const auto config = [&](const std::string& address, const std::string& more = "") {
    return absl::Substitute("server: $0\nrouters: [{address: \"$1\"}]\npage: {http: \"off\"}\n$2", kServer, address, more);
  };
  const auto gateway = Process::Start("penstock-gateway", config(a->grpc()));
  ASSERT_NE(gateway, nullptr);
  Traffic traffic(gateway->grpc(), "tiny");
  traffic.Flow();
  gateway->Reconfigure(config(b->grpc(), "admission: {max_in_flight: 100}\ncatalogue_ttl: 0.5s\n"));
  ASSERT_TRUE(CameTo(*gateway, "applied", 1)) << gateway->Log();
  // Calls that began at the other one end there, before it may go.
  traffic.Flow();
  EXPECT_EQ(a->Stop(), 0);
  traffic.Flow();
  gateway->Reconfigure(config(b->grpc(), "admission: {max_in_flight: 0}\n"));
  ASSERT_TRUE(CameTo(*gateway, "refused", 1));
  EXPECT_THAT(gateway->Log(), HasSubstr("admission.max_in_flight: wanted 1"));
  traffic.Flow();
  traffic.Stop();
  EXPECT_EQ(gateway->Stop(), 0);
}

}  // namespace
}  // namespace penstock
