#include "expert_service/models/stored_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using kernels::CodedMatrix;
using kernels::WeightFormat;
using testing::HasSubstr;

struct File {
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;

  std::shared_ptr<const Safetensors> Parsed() const {
    const absl::StatusOr<std::string> bytes = SafetensorsBytes(tensors, metadata);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    const auto file = Safetensors::Parse(bytes.value());
    EXPECT_TRUE(file.ok()) << file.status();
    return file.value();
  }
};

File FileOf(const CodedMatrix& matrix) {
  File file;
  WriteCoded("w", matrix, file.tensors, file.metadata);
  return file;
}

CodedMatrix Coded(WeightFormat format, int64_t in, int64_t out, int64_t group) {
  return kernels::Quantize(Wave(in * out).data(), in, out, format, group);
}

TEST(StoredMatrixTest, WhatIsWrittenReadsBack) {
  int formats = 0;
  for (const WeightFormat format : kernels::WeightFormats()) {
    if (!kernels::IsScaled(format)) continue;
    ++formats;
    for (const int64_t in : {64, 5}) {  // 5: the last byte of a row is not full
      const CodedMatrix matrix = Coded(format, in, 3, in == 64 ? 32 : 0);
      ASSERT_OK_AND_ASSIGN(const StoredMatrix read,
                           ReadCoded(*FileOf(matrix).Parsed(), "w", -1, in));
      EXPECT_EQ(read.format, format);
      EXPECT_EQ(read.out, 3);
      EXPECT_EQ(read.coded.group, matrix.group);
      EXPECT_EQ(read.coded.codes, matrix.codes);
      EXPECT_EQ(read.coded.scales, matrix.scales);
    }
  }
  EXPECT_EQ(formats, 5);
}

TEST(StoredMatrixTest, RefusesFilesThatDoNotFitWithTheirReason) {
  const CodedMatrix matrix = Coded(WeightFormat::kInt4, 64, 3, 32);
  const auto refused = [&](const auto& change, int64_t out, int64_t in) {
    File file = FileOf(matrix);
    change(file);
    return std::string(ReadCoded(*file.Parsed(), "w", out, in).status().message());
  };
  const auto nothing = [](File&) {};
  EXPECT_EQ(refused(nothing, 3, 64), "");
  EXPECT_THAT(refused(nothing, 4, 64), HasSubstr("w.codes: wanted U8 [4, 32], found U8 [3,32]"));
  EXPECT_THAT(refused(nothing, 3, 65), HasSubstr("wanted U8 [3, 33]"));
  EXPECT_THAT(refused([](File& f) { f.metadata["w.format"] = "int3"; }, 3, 64),
              HasSubstr("metadata w.format: wanted int8"));
  EXPECT_THAT(refused([](File& f) { f.metadata.clear(); }, 3, 64), HasSubstr("found \"\""));
  EXPECT_THAT(refused([](File& f) { f.metadata["w.format"] = "bf16"; }, 3, 64),
              HasSubstr("found \"bf16\""));
  EXPECT_THAT(refused([](File& f) { f.tensors.pop_back(); }, 3, 64), HasSubstr("w.scales"));
  EXPECT_THAT(refused(
                  [](File& f) {
                    f.tensors[1].shape = {3, 3};
                    f.tensors[1].values.resize(9, 1);
                  },
                  3, 64),
              HasSubstr("3 groups do not divide 64 inputs"));
  EXPECT_THAT(refused([](File& f) { f.tensors[1].values[2] = 0; }, 3, 64),
              HasSubstr("scales must be finite and above 0"));
  EXPECT_THAT(refused(
                  [](File& f) {
                    f.tensors[1].shape = {3, 16};
                    f.tensors[1].values.resize(48, 1);
                  },
                  3, 64),
              HasSubstr("group must be 0"));
}

TEST(StoredMatrixTest, CodesOfNothingAreRefused) {
  File file = FileOf(Coded(WeightFormat::kFp8E4m3, 8, 1, 0));
  file.tensors[0].raw[3] = '\x7F';
  EXPECT_THAT(ReadCoded(*file.Parsed(), "w", 1, 8).status().message(), HasSubstr("codes"));
}

TEST(StoredMatrixTest, StacksOnlyWhatIsStoredAlike) {
  StoredMatrix gate = {2, 64, WeightFormat::kInt4, {}, Coded(WeightFormat::kInt4, 64, 2, 32)};
  const StoredMatrix other = {2, 64, WeightFormat::kInt4, {}, Coded(WeightFormat::kInt4, 64, 2, 64)};
  EXPECT_THAT(Stack(gate, other, "gate and up").status().message(),
              HasSubstr("gate and up must be stored alike, found int4 in groups of 32 and int4 in "
                        "groups of 64"));
  ASSERT_OK_AND_ASSIGN(const StoredMatrix both, Stack(gate, gate, "gate and up"));
  EXPECT_EQ(both.out, 4);
  EXPECT_TRUE(kernels::CheckCoded(both.coded).ok());
}

}  // namespace
}  // namespace penstock::expert
