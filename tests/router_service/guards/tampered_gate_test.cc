#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/count_gate.h"
#include "router_service/gating/gate.h"
#include "router_service/quality/artifact_checksum.h"
#include "router_service/quality/cascade_quality.h"
#include "router_service/quality/logistic_quality.h"
#include "router_service/quality/quality_model.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

// A gate's file with its checksum, as training writes it.
std::string GateFile(const TempDir& dir, const std::string& name,
                     const std::vector<SafetensorsTensor>& tensors,
                     std::map<std::string, std::string> metadata) {
  metadata["experts"] = R"(["a", "b"])";
  metadata["checksum"] = ArtifactChecksum(tensors);
  const std::string path = dir.File(name);
  EXPECT_THAT(WriteSafetensors(path, tensors, metadata), IsOk());
  return path;
}

// Turns one bit of the last tensor's last value.
std::string Tampered(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  std::string data = bytes.str();
  data.back() = static_cast<char>(data.back() ^ 1);
  const std::string tampered = path + ".tampered";
  std::ofstream(tampered, std::ios::binary) << data;
  return tampered;
}

absl::Status Load(const config::v1::Gate& gate) { return MakeGate(gate, {"a", "b"}, 2).status(); }

TEST(TamperedGate, ATopkSoftmaxFileOfOtherBytesIsNotLoaded) {
  TempDir dir;
  const std::string path = GateFile(dir, "gate.safetensors",
                                    {{"bias", {2}, {0, 1}}, {"weight", {2, 2}, {1, 2, 3, 4}}}, {});
  config::v1::Gate gate;
  gate.mutable_topk_softmax()->set_file(path);
  EXPECT_THAT(Load(gate), IsOk());
  gate.mutable_topk_softmax()->set_file(Tampered(path));
  const absl::Status status = Load(gate);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is damaged"));
}

TEST(TamperedGate, ASparseGatesFileOfOtherBytesIsNotLoaded) {
  TempDir dir;
  const std::string path = GateFile(dir, "phatgoose.safetensors",
                                    {{"feature_mean", {2}, {0, 0}},
                                     {"feature_scale", {2}, {1, 1}},
                                     {"vectors", {2, 2}, {1, 0, 0, 1}}},
                                    {{"kind", "phatgoose"}});
  config::v1::Gate gate;
  gate.mutable_phatgoose()->set_file(path);
  ASSERT_THAT(Load(gate), IsOk());
  gate.mutable_phatgoose()->set_file(Tampered(path));
  EXPECT_EQ(Load(gate).code(), absl::StatusCode::kDataLoss);
}

TEST(TamperedGate, AChecksumOfOtherTensorsIsNotBelieved) {
  TempDir dir;
  const std::vector<SafetensorsTensor> said = {{"bias", {2}, {0, 1}},
                                               {"weight", {2, 2}, {1, 2, 3, 4}}};
  const std::vector<SafetensorsTensor> held = {{"bias", {2}, {0, 1}},
                                               {"weight", {2, 2}, {1, 2, 3, 5}}};
  const std::string path = dir.File("other.safetensors");
  ASSERT_THAT(WriteSafetensors(
                  path, held, {{"experts", R"(["a", "b"])"}, {"checksum", ArtifactChecksum(said)}}),
              IsOk());
  config::v1::Gate gate;
  gate.mutable_topk_softmax()->set_file(path);
  EXPECT_EQ(Load(gate).code(), absl::StatusCode::kDataLoss);
}

// A file that training writes, and who reads it.
struct Kind {
  std::string name;
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
  absl::Status (*load)(const std::string& path);
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

absl::Status LoadTopkSoftmax(const std::string& path) {
  config::v1::Gate gate;
  gate.mutable_topk_softmax()->set_file(path);
  return Load(gate);
}

absl::Status LoadPhatgoose(const std::string& path) {
  config::v1::Gate gate;
  gate.mutable_phatgoose()->set_file(path);
  return Load(gate);
}

absl::Status LoadPublishedVectors(const std::string& path) {
  config::v1::Gate gate;
  for (const char* name : {"a", "b"}) (*gate.mutable_phatgoose()->mutable_vectors())[name] = path;
  return Load(gate);
}

absl::Status LoadLogistic(const std::string& path) {
  return LogisticQuality::Open(path, {"a", "b"}, 2).status();
}

absl::Status LoadQualityOfAPool(const std::string& path) {
  config::v1::Pool pool;
  pool.add_experts()->set_name("a");
  pool.add_experts()->set_name("b");
  pool.set_quality_file(path);
  return MakeQualityModel(pool, 2).status();
}

absl::Status LoadCascade(const std::string& path) {
  return CascadeQuality::Open(path, {"a", "b"}).status();
}

absl::Status LoadCount(const std::string& path) { return CountGate::Open(path, 2).status(); }

std::vector<Kind> Kinds() {
  const std::vector<SafetensorsTensor> linear = {
      {"bias", {2}, {0, 1}}, {"mean", {2}, {0.5f, 0.5f}}, {"weight", {2, 2}, {1, 2, 3, 4}}};
  return {
      {"topk_softmax",
       {{"bias", {2}, {0, 1}}, {"weight", {2, 2}, {1, 2, 3, 4}}},
       {},
       LoadTopkSoftmax},
      {"phatgoose", {{"vectors", {2, 2}, {1, 0, 0, 1}}}, {{"kind", "phatgoose"}}, LoadPhatgoose},
      {"phatgoose_vector",
       {{"vector", {2}, {1, 0.5f}}},
       {{"kind", "phatgoose_vector"}},
       LoadPublishedVectors},
      {"logistic_quality", linear, {}, LoadLogistic},
      {"quality_of_a_pool", linear, {}, LoadQualityOfAPool},
      {"cascade",
       {{"can_stand", {2}, {1, 0}}, {"weight", {2, 2, 3}, std::vector<float>(12, 0.5f)}},
       {},
       LoadCascade},
      {"count",
       {{"count_bias", {2}, {0, 1}}, {"count_weight", {2, 2}, {1, 2, 3, 4}}},
       {},
       LoadCount}};
}

class TamperedArtifact : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, TamperedArtifact, ::testing::ValuesIn(Kinds()),
                         [](const auto& info) { return info.param.name; });

TEST_P(TamperedArtifact, IsLoadedAsItWasWrittenAndNotWithOtherBytes) {
  TempDir dir;
  const std::string path =
      GateFile(dir, "artifact.safetensors", GetParam().tensors, GetParam().metadata);
  ASSERT_THAT(GetParam().load(path), IsOk());
  EXPECT_THAT(GetParam().load(Tampered(path)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is damaged")));
}

}  // namespace
}  // namespace penstock::router
