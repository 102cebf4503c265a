#include "router_service/features/static_embeddings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "router_service/features/text_features.h"
#include "tests/router_service/features/embeddings_folder.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SafetensorsTensor Table(std::vector<float> rows = LineOfTokens()) {
  const int64_t tokens = static_cast<int64_t>(rows.size() / 2);
  return {"embeddings", {tokens, 2}, std::move(rows)};
}
SafetensorsTensor Raw(std::string name, std::vector<int64_t> shape, std::string dtype,
                      std::string bytes) {
  return {std::move(name), std::move(shape), {}, std::move(dtype), std::move(bytes)};
}
template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::vector<float> Mean(const std::string& folder, absl::string_view text) {
  const auto embeddings = StaticEmbeddings::Open(folder);
  EXPECT_TRUE(embeddings.ok()) << embeddings.status();
  std::vector<float> z;
  if (!embeddings.ok()) return z;
  StaticEmbeddings::Scratch scratch;
  (*embeddings)->AppendTokens(text, scratch);
  (*embeddings)->AppendMean(scratch, z);
  return z;
}
std::string Refusal(const std::string& folder) {
  return std::string(StaticEmbeddings::Open(folder).status().message());
}

TEST(StaticEmbeddings, IsTheMeanOfTheTokensThatAreKnown) {
  TempDir dir;
  const std::string folder = WriteEmbeddings(dir, {Table()});
  EXPECT_THAT(Mean(folder, "unaffable"), ElementsAre(4, -1));             // 3, 4, 5
  EXPECT_THAT(Mean(folder, "the zzz able the"), ElementsAre(FloatNear(13 / 3.0f, 1e-6f), -1));
  EXPECT_THAT(Mean(folder, "zzz"), ElementsAre(0, 0));
  EXPECT_THAT(Mean(folder, ""), ElementsAre(0, 0));
}

TEST(StaticEmbeddings, ManyTokensAreSummedAsOneAfterTheOther) {
  TempDir dir;
  const std::string folder = WriteEmbeddings(dir, {Table()});
  // 4,001 tokens: no multiple of those that are added at once.
  std::string text = "able";
  for (int i = 0; i < 2000; ++i) text += " the cafe";
  EXPECT_THAT(Mean(folder, text),
              ElementsAre(FloatNear((9 + 2000 * 12) / 4001.0f, 1e-4f), FloatNear(-1, 1e-5f)));
}

TEST(StaticEmbeddings, HasUnitLengthWhereTheConfigurationSaysSo) {
  TempDir dir;
  const std::string folder = WriteEmbeddings(dir, {Table()}, R"({"normalize": true, "seed": 3})");
  const float length = std::sqrt(17.0f);
  EXPECT_THAT(Mean(folder, "unaffable"),
              ElementsAre(FloatNear(4 / length, 1e-6f), FloatNear(-1 / length, 1e-6f)));
  EXPECT_THAT(Mean(folder, "zzz"), ElementsAre(0, 0));
}

TEST(StaticEmbeddings, TokensMayShareRowsAndWeighUnlike) {
  TempDir dir;
  std::vector<int64_t> mapping(37, 0);
  std::vector<float> weights(37, 1.0f);
  mapping[2] = 1;  // the
  mapping[9] = 1;  // able
  weights[9] = 3;
  const std::string folder = WriteEmbeddings(
      dir, {{"embeddings", {2, 2}, {5, 5, 1, 10}},
            {"weights", {37}, weights},
            Raw("mapping", {37}, "I64", BytesOf(mapping))});
  EXPECT_THAT(Mean(folder, "the"), ElementsAre(1, 10));
  EXPECT_THAT(Mean(folder, "able the"), ElementsAre(2, 20));
  EXPECT_THAT(Mean(folder, "able the cafe !"), ElementsAre(3.5f, 12.5f));
}

TEST(StaticEmbeddings, ReadsNarrowTypes) {
  TempDir dir;
  std::vector<uint16_t> halves(74, 0x3C00);  // 1
  halves[4] = 0xC100;                        // -2.5, token 2
  EXPECT_THAT(Mean(WriteEmbeddings(dir, {Raw("embeddings", {37, 2}, "F16", BytesOf(halves))}),
                   "the able"),
              ElementsAre(-0.75f, 1));
  std::vector<int8_t> bytes(74, 3);
  bytes[4] = -127;
  EXPECT_THAT(Mean(WriteEmbeddings(dir, {Raw("embeddings", {37, 2}, "I8", BytesOf(bytes))}),
                   "the able"),
              ElementsAre(-62, 3));
}

TEST(StaticEmbeddings, RefusesDamagedModelsByName) {
  TempDir dir;
  EXPECT_THAT(Refusal(dir.File("none")), HasSubstr("tokenizer.json"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {{"vectors", {1}, {1}}})),
              HasSubstr("tensor 'vectors' is not supported"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {{"weights", {1}, {1}}})),
              HasSubstr("tensor 'embeddings' is missing"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {{"embeddings", {74}, LineOfTokens()}})),
              HasSubstr("tensor 'embeddings' has the shape [74]"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {{"embeddings", {1, 5000}, std::vector<float>(5000)}})),
              HasSubstr("tensor 'embeddings' has the shape [1,5000]"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Table(LineOfTokens(36))})),
              HasSubstr("tensor 'embeddings' has 36 tokens, but"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Raw("embeddings", {37, 2}, "U8", std::string(74, 'a'))})),
              HasSubstr("tensor 'embeddings'"));
  std::vector<float> rows = LineOfTokens();
  rows[7] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Table(rows)})),
              HasSubstr("tensor 'embeddings' has a value that is not finite"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Table(), {"weights", {3}, {1, 1, 1}}})),
              HasSubstr("tensor 'weights': wanted shape [37]"));
  std::vector<int64_t> mapping(37, 37);
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Table(), Raw("mapping", {37}, "I64", BytesOf(mapping))})),
              HasSubstr("tensor 'mapping' names a row beyond the 37"));
  mapping.assign(37, -1);
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Table(), Raw("mapping", {37}, "I64", BytesOf(mapping))})),
              HasSubstr("tensor 'mapping' names a row beyond the 37"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Table()}, R"({"normalize": "yes"})")),
              HasSubstr("config.json: normalize is neither true nor false"));
  EXPECT_THAT(Refusal(WriteEmbeddings(dir, {Table()}, "nonsense")),
              HasSubstr("config.json: is no JSON object"));
}

TEST(StaticEmbeddings, TheChecksumTellsModelsApart) {
  TempDir dir;
  const auto of = [&dir](const std::vector<float>& rows, absl::string_view config,
                         absl::string_view tokenizer) {
    return *StaticEmbeddings::Checksum(WriteEmbeddings(dir, {Table(rows)}, config, tokenizer));
  };
  const std::string plain = of(LineOfTokens(), "{}", WordPieceJson());
  EXPECT_EQ(plain.size(), 16u);
  EXPECT_EQ(of(LineOfTokens(), R"({"normalize": false})", WordPieceJson()), plain);
  EXPECT_NE(of(LineOfTokens(), R"({"normalize": true})", WordPieceJson()), plain);
  EXPECT_NE(of(LineOfTokens(), "{}", WordPieceJson("null")), plain);
  std::vector<float> rows = LineOfTokens();
  rows[5] = 7;
  EXPECT_NE(of(rows, "{}", WordPieceJson()), plain);
}

config::v1::TextFeatures With(const std::string& folder) {
  config::v1::TextFeatures config;
  config.mutable_embeddings()->set_folder(folder);
  return config;
}

TEST(TextFeaturesWithEmbeddings, AreADensePartBesideTheWords) {
  TempDir dir;
  config::v1::TextFeatures config = With(WriteEmbeddings(dir, {Table()}));
  FeatureBuffer buffer;
  ASSERT_OK_AND_ASSIGN(const TextFeatures beside, TextFeatures::FromSettings(config));
  EXPECT_EQ(beside.dimension(), 2u);
  beside.ExtractText("unaffable", buffer);
  EXPECT_THAT(buffer.dense, ElementsAre(4, -1));
  EXPECT_THAT(buffer.indices, Not(IsEmpty()));

  config.mutable_embeddings()->set_alone(true);
  ASSERT_OK_AND_ASSIGN(const TextFeatures alone, TextFeatures::FromSettings(config));
  alone.ExtractText("unaffable", buffer);
  EXPECT_THAT(buffer.dense, ElementsAre(4, -1));
  EXPECT_THAT(buffer.indices, IsEmpty());

  config.set_surface(true);
  ASSERT_OK_AND_ASSIGN(const TextFeatures behind, TextFeatures::FromSettings(config));
  EXPECT_EQ(behind.dimension(), SurfaceCounts::kDimension + 2);
  behind.ExtractText("unaffable", buffer);
  ASSERT_EQ(buffer.dense.size(), behind.dimension());
  EXPECT_FLOAT_EQ(buffer.dense[0], std::log1p(9.0f) / 8);
  EXPECT_FLOAT_EQ(buffer.dense[SurfaceCounts::kDimension], 4);
  EXPECT_THAT(buffer.indices, IsEmpty());
}

TEST(TextFeaturesWithEmbeddings, AHugePromptIsReadAtItsEnds) {
  TempDir dir;
  config::v1::TextFeatures config = With(WriteEmbeddings(dir, {Table()}));
  config.set_max_bytes(64);
  ASSERT_OK_AND_ASSIGN(const TextFeatures features, TextFeatures::FromSettings(config));
  FeatureBuffer buffer;
  features.ExtractText(
      "the " + std::string(1 << 20, 'x') + " able " + std::string(1 << 20, 'y') + " cafe", buffer);
  EXPECT_THAT(buffer.dense, ElementsAre(6, -1));  // the, cafe
}

TEST(TextFeaturesWithEmbeddings, ReadAPoolsInputAndParameter) {
  TempDir dir;
  config::v1::Features config;
  *config.mutable_text() = With(WriteEmbeddings(dir, {Table()}));
  config::v1::TensorSpec spec;
  spec.set_name("text");
  spec.set_datatype("BYTES");
  spec.add_shape(1);
  ASSERT_OK_AND_ASSIGN(const auto of_input, MakeFeatureExtractor(config, {spec}));
  const Tensor tensor = StringTensor("text", {2}, {"the", "cafe able"});
  FeatureBuffer buffer;
  ASSERT_THAT(of_input->Extract(absl::MakeConstSpan(&tensor, 1), buffer), IsOk());
  EXPECT_THAT(buffer.dense, ElementsAre(7, -1));

  config.mutable_text()->set_parameter("prompt");
  ASSERT_OK_AND_ASSIGN(const auto of_parameter, MakeFeatureExtractor(config, {}));
  const std::vector<Parameter> parameters = {{"prompt", std::string("unaffable"), {}}};
  ASSERT_THAT(of_parameter->Extract({{}, parameters}, buffer), IsOk());
  EXPECT_THAT(buffer.dense, ElementsAre(4, -1));
}

TEST(TextFeaturesWithEmbeddings, NameTheFieldThatIsWrong) {
  TempDir dir;
  EXPECT_THAT(std::string(TextFeatures::FromSettings(With("")).status().message()),
              HasSubstr("features.text.embeddings.folder is empty"));
  EXPECT_THAT(std::string(TextFeatures::FromSettings(With(dir.File("none"))).status().message()),
              AllOf(HasSubstr("features.text.embeddings.folder: "), HasSubstr(": cannot be read")));
}

}  // namespace
}  // namespace penstock::router
