#include "cli/input/file_form.h"

#include <zlib.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class FileFormTest : public testing::Test {
 protected:
  absl::Status Check(const std::string& text, FileForm form) {
    return CheckFileForm("--outcomes", folder_.Write("file", text), form);
  }
  std::string Gzip(const std::string& name, const std::string& text) {
    const std::string path = folder_.File(name);
    gzFile file = gzopen(path.c_str(), "wb");
    EXPECT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())),
              static_cast<int>(text.size()));
    gzclose(file);
    return path;
  }
  const TempDir folder_;
};

auto Refused(const std::string& got) {
  return StatusIs(absl::StatusCode::kInvalidArgument,
                  AllOf(StartsWith("--outcomes "), HasSubstr("file: wanted "),
                        EndsWith(", got " + got)));
}

TEST_F(FileFormTest, NothingIsNoForm) {
  for (const FileForm form : {FileForm::kCsv, FileForm::kJsonLines, FileForm::kYaml}) {
    EXPECT_THAT(Check("", form), Refused("an empty file"));
    EXPECT_THAT(Check(" \n\n", form), Refused("an empty file"));
  }
}

TEST_F(FileFormTest, BinaryDataIsNoForm) {
  std::string bytes = "\x89PNG";
  bytes += '\0';
  for (const FileForm form : {FileForm::kCsv, FileForm::kJsonLines, FileForm::kYaml}) {
    EXPECT_THAT(Check(bytes, form), Refused("binary data"));
    EXPECT_THAT(Check("\x01\x02\x03\x04", form), Refused("binary data"));
  }
}

TEST_F(FileFormTest, AJsonArrayIsNoLines) {
  const std::string array = "[{\"id\": 1},\n {\"id\": 2}]\n";
  EXPECT_THAT(Check(array, FileForm::kJsonLines),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got a JSON array: write")));
  EXPECT_THAT(Check(array, FileForm::kCsvOrJsonLines),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got a JSON array")));
  EXPECT_THAT(Check(array, FileForm::kCsv), Refused("a JSON array"));
}

TEST_F(FileFormTest, OneObjectOverSeveralLinesIsNoLines) {
  EXPECT_THAT(Check("{\n  \"id\": 1\n}\n", FileForm::kJsonLines),
              Refused("a JSON object over several lines"));
}

TEST_F(FileFormTest, TheOtherKindOfTextIsNamed) {
  EXPECT_THAT(Check("t_ms,\"x\"\n1,2\n", FileForm::kJsonLines),
              Refused("text that begins with \"t_ms,\\\"x\\\"\""));
  EXPECT_THAT(Check("{\"t_ms\": 1}\n", FileForm::kCsv), Refused("JSON"));
}

TEST_F(FileFormTest, WhatMayBeTheFormIsLeftToItsReader) {
  EXPECT_THAT(Check("t_ms\n1\n", FileForm::kCsv), IsOk());
  EXPECT_THAT(Check("t_ms\n1\n", FileForm::kCsvOrJsonLines), IsOk());
  EXPECT_THAT(Check("{\"id\": 1}\n", FileForm::kCsvOrJsonLines), IsOk());
  EXPECT_THAT(Check("experts: [a]\n", FileForm::kYaml), IsOk());
  // Single malformed lines are counted by readers, and do not make it another form.
  EXPECT_THAT(Check("oops\x01\n{\"id\": 1}\n" + std::string(200, ' '), FileForm::kJsonLines), IsOk());
  EXPECT_THAT(CheckFileForm("--outcomes", "", FileForm::kCsv), IsOk());
  EXPECT_THAT(CheckFileForm("--outcomes", folder_.File("nothing"), FileForm::kCsv), IsOk());
}

TEST_F(FileFormTest, GzipIsUnpackedWhereTheReaderUnpacksIt) {
  const std::string lines = Gzip("packed", "{\"id\": 1}\n");
  EXPECT_THAT(CheckFileForm("--outcomes", lines, FileForm::kJsonLines), IsOk());
  EXPECT_THAT(CheckFileForm("--decisions", lines, FileForm::kPlainJsonLines),
              StatusIs(absl::StatusCode::kInvalidArgument, EndsWith("got a gzip file: unpack it first")));
  EXPECT_THAT(CheckFileForm("--trace", lines, FileForm::kCsv),
              StatusIs(absl::StatusCode::kInvalidArgument, EndsWith("got JSON")));
  const std::string twice = Gzip("twice", "\x1f\x8b\x08");
  EXPECT_THAT(CheckFileForm("--outcomes", twice, FileForm::kJsonLines),
              StatusIs(absl::StatusCode::kInvalidArgument, EndsWith("got a gzip file within a gzip file")));
}

}  // namespace
}  // namespace penstock::cli
