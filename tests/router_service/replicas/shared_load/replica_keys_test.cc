#include "router_service/replicas/shared_load/replica_keys.h"

#include "gmock/gmock.h"

namespace penstock::router {
namespace {

using testing::Optional;

TEST(ReplicaKeysTest, AReplicaIsAnAddressAndAModel) {
  const ReplicaKeys here("here", "files"), there("there", "files");
  EXPECT_THAT(here.Of("triton.svc:8001", "bert"), Optional(std::string("triton.svc:8001\tbert")));
  EXPECT_EQ(here.Of("10.0.0.7:8001", "bert"), there.Of("10.0.0.7:8001", "bert"));
  EXPECT_NE(here.Of("10.0.0.7:8001", "bert"), here.Of("10.0.0.7:8001", "gpt"));
  EXPECT_NE(here.Of("10.0.0.7:8001", "bert"), here.Of("10.0.0.8:8001", "bert"));
}

TEST(ReplicaKeysTest, TheLoopbackIsAnotherOneElsewhere) {
  const ReplicaKeys here("here", "files"), there("there", "files");
  for (const char* address : {"127.0.0.1:8001", "localhost:8001", "[::1]:8001", "0.0.0.0:8001",
                              "ipv4:127.0.0.1:8001", "dns:///localhost:8001", "unix-abstract:x"}) {
    EXPECT_TRUE(here.Of(address, "m").has_value()) << address;
    EXPECT_EQ(here.Of(address, "m"), ReplicaKeys("here", "others").Of(address, "m")) << address;
    EXPECT_NE(here.Of(address, "m"), there.Of(address, "m")) << address;
    EXPECT_EQ(ReplicaKeys("", "files").Of(address, "m"), std::nullopt) << address;
  }
}

TEST(ReplicaKeysTest, ASocketsFileIsAnotherOneElsewhere) {
  const ReplicaKeys here("net", "here"), there("net", "there");
  EXPECT_EQ(here.Of("unix:/run/x.sock", "m"),
            ReplicaKeys("other", "here").Of("unix:/run/x.sock", "m"));
  EXPECT_NE(here.Of("unix:/run/x.sock", "m"), there.Of("unix:/run/x.sock", "m"));
  EXPECT_EQ(ReplicaKeys("net", "").Of("unix:/run/x.sock", "m"), std::nullopt);
}

TEST(ReplicaKeysTest, NobodyElseMeansThisProcess) {
  EXPECT_EQ(ReplicaKeys("net", "files").Of("inprocess:expert", "m"), std::nullopt);
}

TEST(ReplicaKeysTest, TwoProcessesOfOnePlaceAgree) {
  EXPECT_EQ(ReplicaKeys::OfThisProcess().Of("127.0.0.1:1", "m"),
            ReplicaKeys::OfThisProcess().Of("127.0.0.1:1", "m"));
}

}  // namespace
}  // namespace penstock::router
