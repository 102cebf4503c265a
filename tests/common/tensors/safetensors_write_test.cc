#include <string>

#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(WriteSafetensorsTest, IsReadBack) {
  TempDir dir;
  const std::string path = dir.File("gate.safetensors");
  ASSERT_THAT(WriteSafetensors(path,
                               {{.name = "0.weight", .shape = {2, 1}, .values = {1, 2}},
                                {.name = "empty", .shape = {0}, .values = {}},
                                {.name = "\"quoted\"", .shape = {}, .values = {3}}},
                               {{"k", "v"}}),
              IsOk());
  ASSERT_OK_AND_ASSIGN(const auto file, Safetensors::Open(path));
  EXPECT_THAT(file->Floats("0.weight", {2, 1}), IsOkAndHolds(ElementsAre(1, 2)));
  EXPECT_THAT(file->Floats("empty", {0}), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(file->Floats("\"quoted\"", {}), IsOkAndHolds(ElementsAre(3)));
  EXPECT_EQ(file->metadata().at("k"), "v");
}

TEST(WriteSafetensorsTest, ReplacesAFileWhoseOldContentsStayMapped) {
  TempDir dir;
  const std::string path = dir.File("m");
  ASSERT_THAT(WriteSafetensors(path, {{.name = "a", .shape = {1}, .values = {1}}}, {}), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto old_file, Safetensors::Open(path));
  ASSERT_THAT(WriteSafetensors(path, {{.name = "a", .shape = {1}, .values = {2}}}, {}), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto new_file, Safetensors::Open(path));
  EXPECT_THAT(old_file->Floats("a", {1}), IsOkAndHolds(ElementsAre(1)));
  EXPECT_THAT(new_file->Floats("a", {1}), IsOkAndHolds(ElementsAre(2)));
}

TEST(WriteSafetensorsTest, DataStartsAtAMultipleOfEight) {
  TempDir dir;
  ASSERT_THAT(WriteSafetensors(dir.File("m"), {{.name = "a", .shape = {1}, .values = {1}}}, {}),
              IsOk());
  EXPECT_EQ((dir.Read("m").size() - sizeof(float)) % 8, 0);
}

TEST(WriteSafetensorsTest, RefusesWhatCouldNotBeRead) {
  TempDir dir;
  const std::string path = dir.File("m");
  EXPECT_THAT(WriteSafetensors(path, {{.name = "a", .shape = {2}, .values = {1}}}, {}),
              StatusIs(kInvalid, "tensor 'a': shape [2] takes 2 values, got 1"));
  EXPECT_THAT(WriteSafetensors(path,
                               {{.name = "a", .shape = {0}, .values = {}},
                                {.name = "a", .shape = {0}, .values = {}}},
                               {}),
              StatusIs(kInvalid, HasSubstr("repeated")));
  EXPECT_THAT(WriteSafetensors(path, {{.name = "__metadata__", .shape = {0}, .values = {}}}, {}),
              StatusIs(kInvalid, HasSubstr("reserved")));
  EXPECT_THAT(WriteSafetensors(path, {}, {{"\xFF", "v"}}), StatusIs(kInvalid));
  EXPECT_EQ(dir.Read("m"), "");
}

TEST(WriteSafetensorsTest, NamesAFolderThatIsNotThere) {
  TempDir dir;
  EXPECT_THAT(WriteSafetensors(dir.File("absent/m"), {}, {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent/m")));
}

}  // namespace
}  // namespace penstock
