// A router keeps the heads of its decision log in its store; `penstock log verify --heads`
// compares.

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::HasSubstr;

// $0 the store, $1 the log's folder, $2 the expert
constexpr char kRouter[] = R"(
server: {grpc: "127.0.0.1:0", metrics: "off", drain: {grace: 0s, timeout: 20s}}
trust_plaintext: true
learning: OFF
store: "$0"
decision_log: {directory: $1}
pools: [{name: pool, experts: [{name: fake, replicas: [{address: "$2"}], joules_per_row: 2}]}]
)";

class KeptHeadsTest : public testing::Test {
 protected:
  // A router's life, with so many decisions.
  void RunRouter(int decisions) {
    const auto router = Process::Start(
        "penstock-router", absl::Substitute(kRouter, store(), folder(), expert_.address()));
    ASSERT_NE(router, nullptr);
    TestClient client(router->grpc());
    ASSERT_TRUE(client.WaitForExperts());
    InferRequest request;
    request.model_name = "pool";
    request.inputs.push_back(FloatTensor("x", {1, 4}, {1, 2, 3, 4}));
    for (int i = 0; i < decisions; ++i) ASSERT_TRUE(client.Call(request).status.ok());
    ASSERT_EQ(router->Stop(), 0);
  }
  int Verify(std::vector<std::string> options) {
    options.insert(options.begin(),
                   {std::string(PENSTOCK_BIN_DIR) + "/penstock", "log", "verify", folder()});
    output_.clear();
    return RunCommand(options, output_);
  }
  std::string store() const { return redis_.unix_uri() + "?prefix=test:"; }
  std::string folder() const { return dir_.File("decisions"); }

  const RedisServer redis_;
  const TempDir dir_;
  FakeExpert expert_;
  std::string output_;
};

TEST_F(KeptHeadsTest, ATailThatWasCutWithItsHeadIsFoundByTheStoresHeadAlone) {
  RunRouter(3);
  EXPECT_EQ(Verify({"--heads", store()}), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("heads that are kept elsewhere, the last of record"));
  const std::string image = dir_.File("image");
  std::filesystem::copy(folder(), image);
  RunRouter(2);
  EXPECT_EQ(Verify({"--heads", store()}), 0) << output_;

  std::filesystem::remove_all(folder());
  std::filesystem::copy(image, folder());
  EXPECT_EQ(Verify({}), 0) << output_;
  EXPECT_EQ(Verify({"--heads", store()}), 1);
  EXPECT_THAT(output_, HasSubstr("was cut after record"));
  // Nor does another run of the router hide it.
  RunRouter(9);
  EXPECT_EQ(Verify({}), 0) << output_;
  EXPECT_EQ(Verify({"--heads", store()}), 1);
  EXPECT_THAT(output_, HasSubstr("a head kept elsewhere"));
}

TEST_F(KeptHeadsTest, AStoreWithoutHeadsOfTheLogIsAnError) {
  RunRouter(1);
  EXPECT_NE(Verify({"--heads", redis_.unix_uri()}), 0);
  EXPECT_THAT(output_, HasSubstr("the store has no decision_log/heads/"));
  EXPECT_NE(Verify({"--heads", "memory://"}), 0);
  EXPECT_THAT(output_, HasSubstr("wanted the address of a server"));
}

}  // namespace
}  // namespace penstock
