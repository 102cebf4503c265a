#include "common/sha256.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

// FIPS 180-2, appendix B, and the digest of nothing.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kMillion[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
constexpr char kNothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Sha256Test, OfTextsThatTheStandardKnows) {
  EXPECT_EQ(Sha256Hex("abc"), kAbc);
  EXPECT_EQ(Sha256Hex(std::string(1'000'000, 'a')), kMillion);
  EXPECT_EQ(Sha256Hex(absl::string_view()), kNothing);
  EXPECT_EQ(ToHex(Sha256("abc")), kAbc);
}

TEST(Sha256Test, PartsAreAsTheWhole) {
  Sha256Stream stream;
  for (const absl::string_view part : {"a", "", "bc"}) stream.Add(part);
  EXPECT_EQ(ToHex(stream.Finish()), kAbc);
}

TEST(Sha256Test, OfAFileWhateverItsSize) {
  const TempDir dir;
  EXPECT_EQ(ToHex(*Sha256OfFile(dir.Write("abc", "abc"))), kAbc);
  EXPECT_EQ(ToHex(*Sha256OfFile(dir.Write("empty", ""))), kNothing);
  const std::string large(3'000'001, 'x');
  EXPECT_EQ(*Sha256OfFile(dir.Write("large", large)), Sha256(large));
  EXPECT_THAT(Sha256OfFile(dir.File("absent")).status(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Sha256OfFile(dir.path()).status(), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace penstock
