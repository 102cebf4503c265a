#include "common/tensors/safetensors.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string File(const std::string& header, const std::string& data = "") {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + header + data;
}

// The reason why the file is refused.
std::string Refusal(const std::string& file) {
  const auto parsed = Safetensors::Parse(file);
  EXPECT_THAT(parsed, StatusIs(kInvalid));
  return std::string(parsed.status().message());
}

std::string Floats(std::vector<float> values) {
  std::string data(values.size() * sizeof(float), '\0');
  std::memcpy(data.data(), values.data(), data.size());
  return data;
}

TEST(SafetensorsTest, ReadsTensorsAndMetadata) {
  ASSERT_OK_AND_ASSIGN(
      const auto file,
      Safetensors::Parse(File(R"({"__metadata__":{"k":"v"},)"
                              R"("b":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},)"
                              R"("a":{"shape":[1,2],"data_offsets":[0,8],"dtype":"F32"}}  )",
                              Floats({1.5f, -2}) + std::string(8, '\x01'))));
  EXPECT_EQ(file->metadata().at("k"), "v");
  EXPECT_EQ(file->entries().size(), 2);
  EXPECT_THAT(file->Floats("a", {1, 2}), IsOkAndHolds(ElementsAre(1.5f, -2.0f)));
  ASSERT_NE(file->Find("b"), nullptr);
  EXPECT_EQ(file->Find("b")->dtype, "I64");
  EXPECT_EQ(file->Find("b")->data, std::string(8, '\x01'));
  EXPECT_EQ(file->Find("c"), nullptr);
}

TEST(SafetensorsTest, ReadsAFileOfNoTensors) {
  EXPECT_THAT(Safetensors::Parse(File("{}")), IsOk());
}

TEST(SafetensorsTest, ReadsScalarsAndEmptyTensors) {
  ASSERT_OK_AND_ASSIGN(
      const auto file,
      Safetensors::Parse(File(R"({"e":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},)"
                              R"("s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
                              Floats({7}))));
  EXPECT_THAT(file->Floats("s", {}), IsOkAndHolds(ElementsAre(7)));
  EXPECT_THAT(file->Floats("e", {-1, 3}), IsOkAndHolds(IsEmpty()));
}

TEST(SafetensorsTest, ConvertsEveryFloatType) {
  const std::string header = R"({"f16":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
                             R"("bf16":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]},)"
                             R"("f64":{"dtype":"F64","shape":[1],"data_offsets":[4,12]}})";
  const double eighth = 0.125;
  ASSERT_OK_AND_ASSIGN(
      const auto file,
      Safetensors::Parse(File(header, std::string("\x00\x3C\x40\xC0", 4) +
                                          std::string(reinterpret_cast<const char*>(&eighth), 8))));
  EXPECT_THAT(file->Floats("f16", {1}), IsOkAndHolds(ElementsAre(1)));
  EXPECT_THAT(file->Floats("bf16", {1}), IsOkAndHolds(ElementsAre(-3)));
  EXPECT_THAT(file->Floats("f64", {1}), IsOkAndHolds(ElementsAre(0.125f)));
}

TEST(SafetensorsTest, NanIsAValueLikeAnyOther) {
  ASSERT_OK_AND_ASSIGN(
      const auto file,
      Safetensors::Parse(
          File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", Floats({NAN}))));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> values, file->Floats("a", {1}));
  EXPECT_TRUE(std::isnan(values[0]));
}

TEST(SafetensorsTest, FloatsSaysWhatWasWantedAndWhatIsThere) {
  ASSERT_OK_AND_ASSIGN(
      const auto file,
      Safetensors::Parse(File(R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                              R"("i":{"dtype":"I8","shape":[1],"data_offsets":[8,9]}})",
                              std::string(9, '\0'))));
  EXPECT_THAT(file->Floats("0.weight", {2, -1}),
              StatusIs(absl::StatusCode::kNotFound,
                       "tensor '0.weight' is missing, wanted floats of shape [2,-1]"));
  EXPECT_THAT(file->Floats("a", {2, -1}),
              StatusIs(kInvalid, "tensor 'a': wanted shape [2,-1], got [1,2]"));
  EXPECT_THAT(file->Floats("a", {2}), StatusIs(kInvalid));
  EXPECT_THAT(file->Floats("i", {1}),
              StatusIs(kInvalid, "tensor 'i': wanted F32, F16, BF16 or F64, got I8"));
}

TEST(SafetensorsTest, RefusesATruncatedFile) {
  EXPECT_EQ(Refusal(""), "truncated: wanted 8 bytes of header length, got 0");
  EXPECT_EQ(Refusal("1234567"), "truncated: wanted 8 bytes of header length, got 7");
  EXPECT_EQ(Refusal(File("{}").substr(0, 9)),
            "truncated: the header has 2 bytes, the file 1 after it");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1234567")),
            "tensor 'a': data_offsets [0,8] do not lie in the 7 bytes of data: truncated?");
}

TEST(SafetensorsTest, RefusesAHugeHeader) {
  EXPECT_THAT(Refusal(std::string(8, '\xFF')), HasSubstr("18446744073709551615 bytes, at most"));
  EXPECT_THAT(Refusal(std::string("\x01\xE1\xF5\x05\0\0\0\0", 8)), HasSubstr("100000001 bytes"));
}

TEST(SafetensorsTest, RefusesAHeaderThatIsNoJsonObject) {
  EXPECT_EQ(Refusal(File("[]")), "the header does not begin with {");
  EXPECT_EQ(Refusal(File(" {}")), "the header does not begin with {");
  EXPECT_THAT(Refusal(File("{")), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal(File("{} x")), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal(File("{\"\xFF\":1}")), HasSubstr("not JSON"));
}

TEST(SafetensorsTest, RefusesOverlaps) {
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                         R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                         "123456")),
            "tensor 'b': overlaps another tensor");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                         R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                         "1234")),
            "tensor 'b': overlaps another tensor");
}

TEST(SafetensorsTest, RefusesGapsAndBytesOfNobody) {
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "12")),
            "tensor 'a': follows a gap in the data");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "123")),
            "2 bytes at the end belong to no tensor");
  EXPECT_EQ(Refusal(File("{}", "1")), "1 bytes at the end belong to no tensor");
}

TEST(SafetensorsTest, RefusesSizesThatDoNotMatch) {
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "12345678")),
            "tensor 'a': F32 of shape [3] takes 12 bytes, data_offsets give 8");
}

TEST(SafetensorsTest, RefusesSizesThatOverflow) {
  EXPECT_EQ(Refusal(File(
                R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})")),
            "tensor 'a': the shape has too many elements");
  EXPECT_EQ(
      Refusal(File(R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,0]}})")),
      "tensor 'a': the shape has too many elements");
}

TEST(SafetensorsTest, RefusesOffsetsThatRunBackwards) {
  EXPECT_THAT(Refusal(File(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}})", "1")),
              HasSubstr("data_offsets [1,0] do not lie"));
}

TEST(SafetensorsTest, RefusesUnknownDtypes) {
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"F33","shape":[0],"data_offsets":[0,0]}})")),
            "tensor 'a': unknown dtype 'F33'");
}

TEST(SafetensorsTest, RefusesRepeatedKeys) {
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                         R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")),
            "tensor 'a': stands twice");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})")),
            "tensor 'a' has the key 'dtype' twice");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}})")),
            "tensor 'a' has the key 'shape' twice");
  EXPECT_EQ(Refusal(File(R"({"__metadata__":{"k":"1","k":"2"}})")),
            "__metadata__ has the key 'k' twice");
  EXPECT_EQ(Refusal(File(R"({"__metadata__":{},"__metadata__":{}})")), "__metadata__ stands twice");
}

TEST(SafetensorsTest, RefusesMissingAndUnknownKeys) {
  EXPECT_EQ(Refusal(File(R"({"a":{"shape":[0],"data_offsets":[0,0]}})")),
            "tensor 'a': dtype is missing");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})")),
            "tensor 'a': shape is missing");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[0]}})")),
            "tensor 'a': data_offsets is missing");
  EXPECT_EQ(Refusal(File(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}})")),
            "tensor 'a': data_offsets wants 2 numbers, got 1");
  EXPECT_EQ(Refusal(File(R"({"a":{"type":"U8"}})")), "tensor 'a': a string under the key 'type'");
}

TEST(SafetensorsTest, RefusesValuesOfTheWrongType) {
  for (const char* header :
       {R"({"a":1})", R"({"a":null})", R"({"a":[]})", R"({"a":{"dtype":1}})",
        R"({"a":{"shape":"x"}})", R"({"a":{"shape":[-1]}})", R"({"a":{"shape":[1.5]}})",
        R"({"a":{"shape":[[1]]}})", R"({"a":{"shape":[{}]}})", R"({"a":{"shape":{}}})",
        R"({"a":{"shape":["1"]}})", R"({"a":{"shape":[true]}})", R"({"a":{"b":[1]}})",
        R"({"__metadata__":1})", R"({"__metadata__":{"k":1}})", R"({"__metadata__":{"k":{}}})",
        R"({"__metadata__":{"k":[]}})"}) {
    EXPECT_THAT(Safetensors::Parse(File(header)), StatusIs(kInvalid)) << header;
  }
}

TEST(SafetensorsTest, OpensAFile) {
  TempDir dir;
  const std::string path =
      dir.Write("m.safetensors",
                File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", Floats({2})));
  ASSERT_OK_AND_ASSIGN(const auto file, Safetensors::Open(path));
  EXPECT_THAT(file->Floats("a", {1}), IsOkAndHolds(ElementsAre(2)));
}

TEST(SafetensorsTest, NamesTheFileThatItRefuses) {
  TempDir dir;
  EXPECT_THAT(Safetensors::Open(dir.Write("bad", "123")),
              StatusIs(kInvalid, HasSubstr(dir.File("bad") + ": truncated")));
  EXPECT_THAT(Safetensors::Open(dir.Write("empty", "")),
              StatusIs(kInvalid, HasSubstr("truncated")));
  EXPECT_THAT(Safetensors::Open(dir.path()), StatusIs(kInvalid, HasSubstr("not a regular file")));
  EXPECT_THAT(Safetensors::Open(dir.File("absent")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir.File("absent"))));
}

}  // namespace
}  // namespace penstock
