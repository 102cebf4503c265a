// A gate's file serves only as what its metadata says that it is.
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/count_gate.h"
#include "router_service/gating/gate.h"
#include "tests/router_service/gating/sparse/gate_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using Metadata = std::map<std::string, std::string>;

// A linear gate over two features of experts a to d.
absl::Status LoadTopk(const Metadata& metadata) {
  config::v1::Gate config;
  config.mutable_topk_softmax()->set_file(
      WriteGate("topk_softmax", {{"weight", {4, 2}, std::vector<float>(8, 1)}}, metadata));
  return MakeGate(config, {"a", "b"}, 2, "tensor_pooling").status();
}

absl::Status LoadDselectK(const Metadata& metadata) {
  config::v1::Gate config;
  config.mutable_dselect_k()->set_file(
      WriteGate("dselect_k",
                {{"bits", {1, 2, 2}, {1, 0, 0, 1}},
                 {"selectors", {1, 2}, {0, 0}},
                 {"width", {1}, {1}}},
                metadata));
  return MakeGate(config, {"a", "b"}, 2, "tensor_pooling").status();
}

absl::Status LoadCount(const Metadata& metadata) {
  const std::string path =
      WriteGate("count_gate", {{"count_weight", {2, 2}, {0, 0, 1, 0}}, {"count_bias", {2}, {0, 0}}},
                metadata);
  return CountGate::Open(path, 2, "tensor_pooling").status();
}

using Load = absl::Status (*)(const Metadata&);
struct File {
  const char* name;
  Load load;
};

class GateMetadata : public testing::TestWithParam<File> {
 protected:
  static std::string Refusal(const Metadata& metadata) {
    const absl::Status status = GetParam().load(metadata);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }
};

TEST_P(GateMetadata, ThatFitsIsTaken) {
  const absl::Status status =
      GetParam().load({{"dimension", "2"}, {"features", "tensor_pooling"}});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(GetParam().load({}).ok());  // says nothing
}

TEST_P(GateMetadata, OfAnotherKindIsRefused) {
  EXPECT_THAT(Refusal({{"kind", "logistic_quality"}}),
              HasSubstr(absl::StrCat("metadata \"kind\" is \"logistic_quality\", wanted \"",
                                     GetParam().name, "\"")));
}

TEST_P(GateMetadata, OfAnotherDimensionIsRefused) {
  EXPECT_THAT(Refusal({{"dimension", "49"}}),
              HasSubstr("metadata \"dimension\" is \"49\", wanted \"2\""));
}

TEST_P(GateMetadata, OfOtherFeaturesIsRefused) {
  EXPECT_THAT(Refusal({{"dimension", "2"}, {"features", "none"}}),
              HasSubstr("metadata \"features\" is \"none\", wanted \"tensor_pooling\""));
}

INSTANTIATE_TEST_SUITE_P(Files, GateMetadata,
                         testing::Values(File{"topk_softmax", LoadTopk},
                                         File{"dselect_k", LoadDselectK},
                                         File{"count_gate", LoadCount}),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace penstock::router
