#include "router_service/learning/outcome_table.h"

#include <zlib.h>

#include <cmath>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Write(const std::string& name, const std::string& text) {
  const std::string path = ProcessTempDir() + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string WriteFloats(const std::string& name, const std::vector<float>& values) {
  return Write(name, std::string(reinterpret_cast<const char*>(values.data()),
                                 values.size() * sizeof(float)));
}

absl::StatusOr<OutcomeTable> Read(const std::string& text, OutcomeTableSource source = {}) {
  source.file = Write("outcomes.jsonl", text);
  return ReadOutcomeTable(source);
}

std::string Problem(const std::string& text, OutcomeTableSource source = {}) {
  const auto table = Read(text, std::move(source));
  EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument) << table.status();
  return std::string(table.status().message());
}

TEST(OutcomeTable, ReadsFeaturesAndOutcomes) {
  const auto table = Read(
      R"({"id": 7, "features": [1, 2.5], "experts": {"a": {"quality": 1, "confidence": [0.9, 0.05], "joules": 2, "seconds": 1}, "b": {"quality": 0.25, "joules": 4}}}

{"id": "x", "features": [3, 4], "experts": {"b": {"quality": true, "joules": 5}}}
)");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->experts, ElementsAre("a", "b"));
  EXPECT_THAT(table->ids, ElementsAre("7", "x"));
  EXPECT_THAT(table->features, ElementsAre(1, 2.5f, 3, 4));
  EXPECT_EQ(table->quality[table->At(0, 0)], 1);
  EXPECT_TRUE(std::isnan(table->quality[table->At(0, 1)]));
  EXPECT_EQ(table->quality[table->At(1, 0)], 0.25f);
  EXPECT_EQ(table->quality[table->At(1, 1)], 1);
  EXPECT_EQ(table->cost_unit, "joules");
  EXPECT_EQ(table->cost[table->At(1, 1)], 5);
  EXPECT_FLOAT_EQ(table->confidence[table->At(0, 0)].first, 0.9f);
  EXPECT_LT(table->confidence[table->At(1, 0)].first, 0);
}

TEST(OutcomeTable, ReadsGzip) {
  const std::string path = ProcessTempDir() + "outcomes.jsonl.gz";
  const gzFile file = gzopen(path.c_str(), "wb");
  gzputs(file, R"({"features": [1], "experts": {"a": {"quality": 1}}})");
  gzclose(file);
  OutcomeTableSource source;
  source.file = path;
  const auto table = ReadOutcomeTable(source);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->rows(), 1u);
}

TEST(OutcomeTable, PoolsTensorsAsTheRouterDoes) {
  OutcomeTableSource source;
  source.features.mutable_tensor_pooling()->set_input("image");
  source.features.mutable_tensor_pooling()->set_cells(2);
  const auto table = Read(
      R"({"input": {"other": [9], "image": [[1, 3, 5, 7], [3, 5, 7, 9]]}, "experts": {"a": {"quality": 1}}})",
      source);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features, ElementsAre(3, 7));
}

TEST(OutcomeTable, ReadsRowsOfAMatrixFile) {
  OutcomeTableSource source;
  source.inputs_file = WriteFloats("rows.f32", {1, 2, 3, 4, 5, 6});
  source.input_dimension = 2;
  const auto table = Read(R"({"row": 2, "experts": {"a": {"quality": 1}}}
{"input": {"row": 0}, "experts": {"a": {"quality": 0}}})",
                          source);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features, ElementsAre(5, 6, 1, 2));
}

TEST(OutcomeTable, TakesImageIndicesBeyondTheFileAsNames) {
  OutcomeTableSource source;
  source.inputs_file = WriteFloats("named.f32", {1, 2, 3});
  source.input_dimension = 1;
  const std::string line = R"(, "experts": {"a": {"quality": 1}}}
)";
  const auto table =
      Read(R"({"input": {"image_index": 1})" + line + R"({"input": {"image_index": 10})" + line +
               R"({"input": {"image_index": 4000})" + line,
           source);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features, ElementsAre(1, 2, 3));
  EXPECT_THAT(Problem(R"({"input": {"image_index": 10})" + line, source),
              HasSubstr("cannot go together"));
}

TEST(OutcomeTable, ReadsOnlyTheExpertsAsked) {
  OutcomeTableSource source;
  source.experts = {"b"};
  const auto table =
      Read(R"({"features": [1], "experts": {"a": {"quality": "?"}, "b": {"quality": 1}}})", source);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->experts, ElementsAre("b"));
}

TEST(OutcomeTable, TakesTheFirstCostThatIsToldThroughout) {
  const auto table = Read(
      R"({"features": [1], "experts": {"a": {"quality": 1, "joules": 1, "flops": 10}, "b": {"quality": 1, "flops": 20}}})");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->cost_unit, "flops");
  EXPECT_EQ(table->cost[table->At(1, 0)], 20);
}

TEST(OutcomeTable, NeedsNoInputsForNoFeatures) {
  OutcomeTableSource source;
  source.features.mutable_none();
  const auto table = Read(R"({"experts": {"a": {"quality": 1}}})", source);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->dimension, 0u);
}

TEST(OutcomeTable, NamesLineAndField) {
  const std::string good = R"({"features": [1], "experts": {"a": {"quality": 1}}}
)";
  const auto cell = [&](const std::string& text) {
    return Problem(good + R"({"features": [1], "experts": {"a": )" + text + "}}");
  };
  EXPECT_THAT(
      cell(R"({"quality": 1.5})"),
      HasSubstr("outcomes.jsonl:2: experts.a.quality: wanted a number in [0, 1], found 1.5"));
  EXPECT_THAT(cell("{}"), HasSubstr(":2: experts.a.quality: missing"));
  EXPECT_THAT(cell("7"), HasSubstr(":2: experts.a: wanted an object, found 7"));
  EXPECT_THAT(cell(R"({"quality": 1, "joules": -1})"),
              HasSubstr("experts.a.joules: wanted a number not below 0"));
  EXPECT_THAT(cell(R"({"quality": 1, "joules": "much"})"), HasSubstr("found \"much\""));
  EXPECT_THAT(cell(R"({"quality": 1, "confidence": [0.2, 0.7]})"),
              HasSubstr("wanted the larger first"));
  EXPECT_THAT(cell(R"({"quality": 1, "confidence": 0.7})"),
              HasSubstr("experts.a.confidence: wanted the two largest"));
  EXPECT_THAT(Problem(good + "{\"features\": [1], \"experts\": {"),
              HasSubstr(":2: no JSON object"));
  EXPECT_THAT(Problem(good + "[1]"), HasSubstr(":2: wanted an object, found [1]"));
  EXPECT_THAT(Problem(good + R"({"features": [1]})"), HasSubstr(":2: experts: missing"));
  EXPECT_THAT(Problem(good + R"({"experts": {"a": {"quality": 1}}})"),
              HasSubstr(":2: has neither"));
}

TEST(OutcomeTable, RefusesHostileFeatures) {
  const std::string tail = R"(, "experts": {"a": {"quality": 1}}})";
  EXPECT_THAT(Problem(R"({"features": [1, "x"])" + tail), HasSubstr("found \"x\""));
  EXPECT_THAT(Problem(R"({"features": [])" + tail), HasSubstr("wanted a list of numbers"));
  EXPECT_THAT(Problem(R"({"features": [1e400])" + tail), HasSubstr("outcomes.jsonl:1"));
  EXPECT_THAT(Problem(R"({"features": [1e39])" + tail), HasSubstr("not finite"));
  EXPECT_THAT(Problem(R"({"features": [[1], 2])" + tail), HasSubstr("numbers beside lists"));
  EXPECT_THAT(Problem(R"({"input": {"x": [[1, 2], [3]]})" + tail),
              HasSubstr("lists of 2 and of 1"));
  EXPECT_THAT(Problem(R"({"features": [1])" + tail + "\n" + R"({"features": [1, 2])" + tail),
              HasSubstr(":2: features: found 2 values, but 1 in earlier lines"));
  EXPECT_THAT(Problem(R"({"features": )" + std::string(100000, '[') + tail),
              HasSubstr(":1: no JSON object"));
  EXPECT_THAT(Problem(R"({"features": )" + std::string(5000, '[') + std::string(5000, ']') + tail),
              HasSubstr("nested more than 32 deep"));
  EXPECT_THAT(Problem(R"({"row": 3)" + tail), HasSubstr("no inputs file was given"));
}

TEST(OutcomeTable, RefusesRowsThatAreNotThere) {
  OutcomeTableSource source;
  source.inputs_file = WriteFloats("short.f32", {1, 2});
  source.input_dimension = 1;
  const std::string tail = R"(, "experts": {"a": {"quality": 1}}})";
  EXPECT_THAT(Problem(R"({"row": 2)" + tail, source), HasSubstr("row: is 2, but"));
  EXPECT_THAT(Problem(R"({"row": -1)" + tail, source),
              HasSubstr("wanted a row number from 0, found -1"));
  EXPECT_THAT(Problem(R"({"row": 18446744073709551615)" + tail, source),
              HasSubstr("wanted a row number"));
  EXPECT_THAT(Problem(R"({"row": 0.5)" + tail, source), HasSubstr("found 0.5"));
  source.input_dimension = 3;
  EXPECT_THAT(Problem(R"({"row": 0)" + tail, source), HasSubstr("has 8 bytes, wanted rows of 3"));
}

TEST(OutcomeTable, RefusesAnEmptyFileAndAnExpertWithoutQuality) {
  EXPECT_THAT(Problem("\n\n"), HasSubstr("has no outcomes"));
  EXPECT_THAT(Problem(R"({"features": [1], "experts": {"a": {"quality": null}}})"),
              HasSubstr("tells no quality of expert \"a\""));
  OutcomeTableSource source;
  source.file = "/nonexistent/outcomes.jsonl";
  EXPECT_EQ(ReadOutcomeTable(source).status().code(), absl::StatusCode::kNotFound);
}

TEST(OutcomeTable, RefusesADamagedGzip) {
  const std::string path = ProcessTempDir() + "cut.jsonl.gz";
  const gzFile file = gzopen(path.c_str(), "wb");
  for (int i = 0; i < 1000; ++i) gzprintf(file, "{\"features\": [%d]}\n", i * 7919);
  gzclose(file);
  std::ifstream in(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_FALSE(ReadMaybeGzipped(Write("cut2.jsonl.gz", bytes.substr(0, bytes.size() / 2))).ok());
}

}  // namespace
}  // namespace penstock::router
