// A cascade's file serves only as what its metadata says that it is.
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/quality/cascade_quality.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using Metadata = std::map<std::string, std::string>;

// small and large; with `bypass`, of two features.
absl::Status Load(Metadata metadata, bool bypass, const CascadeFeatures& features) {
  std::vector<SafetensorsTensor> tensors = {{"weight", {2, 2, 3}, std::vector<float>(12, 0)},
                                            {"can_stand", {2}, {1, 1}}};
  metadata.insert({"experts", R"(["small", "large"])"});
  if (bypass) {
    tensors.push_back({"bypass_weight", {2}, {2, 0}});
    tensors.push_back({"bypass_bias", {1}, {0}});
    tensors.push_back({"bypass_least", {1}, {0.5f}});
    metadata.insert({"policy", "bypass"});
    metadata.insert({"stages", "small,large"});
  }
  static int files = 0;
  const std::string path =
      ProcessTempDir() + "cascade" + std::to_string(++files) + ".safetensors";
  EXPECT_TRUE(WriteSafetensors(path, tensors, metadata).ok());
  return CascadeQuality::Open(path, {"small", "large"}, features).status();
}

std::string Refusal(const Metadata& metadata, bool bypass, const CascadeFeatures& features = {}) {
  const absl::Status status = Load(metadata, bypass, features);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(CascadeMetadata, OfAnotherKindIsRefused) {
  EXPECT_TRUE(Load({{"kind", "cascade_quality"}}, false, {}).ok());
  EXPECT_TRUE(Load({}, false, {}).ok());  // says nothing
  EXPECT_THAT(Refusal({{"kind", "topk_softmax"}}, false),
              HasSubstr("metadata \"kind\" is \"topk_softmax\", wanted \"cascade_quality\""));
}

TEST(CascadeMetadata, OfABypassOverOtherFeaturesIsRefused) {
  const CascadeFeatures features{2, "tensor_pooling"};
  EXPECT_TRUE(Load({{"dimension", "2"}, {"features", "tensor_pooling"}}, true, features).ok());
  EXPECT_THAT(Refusal({{"dimension", "3"}}, true, features),
              HasSubstr("metadata \"dimension\" is \"3\", wanted \"2\""));
  EXPECT_THAT(Refusal({{"dimension", "2"}, {"features", "none"}}, true, features),
              HasSubstr("metadata \"features\" is \"none\", wanted \"tensor_pooling\""));
}

TEST(CascadeMetadata, OfConfidencesAloneNoFeaturesAreWanted) {
  EXPECT_TRUE(
      Load({{"dimension", "3"}, {"features", "tensor_pooling"}}, false, {0, "none"}).ok());
}

}  // namespace
}  // namespace penstock::router
