#include "cli/input/raw_rows.h"

#include <sys/stat.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

class RawRowsTest : public ::testing::Test {
 protected:
  // What `write` puts into a pipe, which is a path.
  std::string Pipe(std::function<void(std::ostream&)> write) {
    const std::string path = folder_.File("pipe");
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    writer_ = std::thread([path, write = std::move(write)] {
      std::ofstream pipe(path, std::ios::binary);
      write(pipe);
    });
    return path;
  }
  void TearDown() override {
    if (writer_.joinable()) writer_.join();
  }

  const TempDir folder_;
  std::thread writer_;
};

TEST_F(RawRowsTest, AFileHasRows) {
  const std::string path = folder_.Write("rows", "aabbcc");
  EXPECT_THAT(ReadRawRows(path, 2, std::nullopt), IsOkAndHolds("aabbcc"));
  EXPECT_THAT(ReadRawRows(path, 2, 1), IsOkAndHolds("bb"));
  EXPECT_THAT(ReadRawRows(path, 2, 3), StatusIs(kInvalid, "row 3 of 3"));
  EXPECT_THAT(ReadRawRows(path, 4, 0), StatusIs(kInvalid, "wanted rows of 4 bytes, got 6"));
}

TEST_F(RawRowsTest, OneRowOfAFileIsReadHoweverLargeTheFileIs) {
  const std::string path = folder_.Write("rows", "");
  constexpr uint64_t kRows = uint64_t{1} << 20;
  std::filesystem::resize_file(path, kRows * 4096);  // of zeros, which take no room
  {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(4096 * (kRows - 1));
    file << "last";
  }
  ASSERT_OK_AND_ASSIGN(const std::string row, ReadRawRows(path, 4096, kRows - 1));
  EXPECT_EQ(row.substr(0, 4), "last");
  EXPECT_EQ(row.size(), 4096u);
  EXPECT_THAT(ReadRawRows(path, 4096, std::nullopt),
              StatusIs(kInvalid, AllOf(HasSubstr("at most 67108864 bytes, got 4294967296"),
                                       HasSubstr(path))));
  EXPECT_THAT(ReadRawRows(path, kRows * 1024, 0),
              StatusIs(kInvalid, HasSubstr("a row: wanted at most 67108864 bytes")));
}

TEST_F(RawRowsTest, APipeMayGiveThemToo) {
  const std::string path = Pipe([](std::ostream& pipe) { pipe << "aabbcc"; });
  EXPECT_THAT(ReadRawRows(path, 2, 2), IsOkAndHolds("cc"));
}

TEST_F(RawRowsTest, APipeWithoutAnEndIsReadSoFarOnly) {
  // Until nobody reads any more; a signal of that would end this process.
  std::signal(SIGPIPE, SIG_IGN);
  const std::string path = Pipe([](std::ostream& pipe) {
    const std::string part(1 << 20, 'x');
    while (pipe << part) {
    }
  });
  EXPECT_THAT(ReadRawRows(path, 2, 0),
              StatusIs(kInvalid, HasSubstr("at most 67108864 bytes of a pipe, got more")));
}

TEST_F(RawRowsTest, WhatIsNeitherIsNotRead) {
  EXPECT_THAT(ReadRawRows("/dev/zero", 4, 0),
              StatusIs(kInvalid, "wanted a file or a pipe, got a character device, /dev/zero"));
  EXPECT_THAT(ReadRawRows(folder_.path(), 4, std::nullopt),
              StatusIs(kInvalid, HasSubstr("got a folder")));
  EXPECT_THAT(ReadRawRows("/nowhere", 4, 0), StatusIs(kInvalid, HasSubstr("cannot read /nowhere")));
}

}  // namespace
}  // namespace penstock::cli
