#include "common/store/redis/redis_reply.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/store/redis/redis_command.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

// tests/fuzz/store_reply_fuzzer.cc
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using Type = RedisReply::Type;

TEST(RedisReplyReaderTest, CutsWhereverBytesEnd) {
  const std::string text =
      absl::StrCat("+OK\r\n:42\r\n$3\r\n", absl::string_view("a\0b", 3),
                   "\r\n$-1\r\n*2\r\n$1\r\nx\r\n*1\r\n:7\r\n-ERR no\r\n*0\r\n");
  for (size_t piece = 1; piece <= 16; ++piece) {
    RedisReplyReader reader(1000);
    std::deque<RedisReply> replies;
    for (size_t at = 0; at < text.size(); at += piece) {
      ASSERT_THAT(reader.Feed(absl::string_view(text).substr(at, piece), replies), IsOk());
    }
    ASSERT_THAT(replies, SizeIs(7)) << piece;
    EXPECT_EQ(replies[0].type, Type::kStatus);
    EXPECT_EQ(replies[0].text, "OK");
    EXPECT_EQ(replies[1].integer, 42);
    EXPECT_EQ(replies[2].text, absl::string_view("a\0b", 3));
    EXPECT_EQ(replies[3].type, Type::kNil);
    ASSERT_THAT(replies[4].elements, SizeIs(2));
    EXPECT_EQ(replies[4].elements[0]->text, "x");
    EXPECT_EQ(replies[4].elements[1]->elements[0]->integer, 7);
    EXPECT_TRUE(replies[5].IsError("ERR"));
    EXPECT_EQ(replies[6].type, Type::kArray);
  }
}

TEST(RedisReplyReaderTest, RefusesWhatIsNoReply) {
  for (const absl::string_view wire : {"HTTP/1.1 200 OK\r\n", "$x\r\n", "%1\r\n", ":1x\r\n"}) {
    RedisReplyReader reader(1000);
    std::deque<RedisReply> replies;
    EXPECT_THAT(reader.Feed(wire, replies),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("bad reply")))
        << wire;
  }
}

TEST(RedisReplyReaderTest, KeepsTheRepliesBeforeAnError) {
  RedisReplyReader reader(1000);
  std::deque<RedisReply> replies;
  EXPECT_THAT(reader.Feed(":1\r\n:2\r\nHTTP", replies), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(replies, SizeIs(2));
}

TEST(RedisReplyReaderTest, BoundsTheBytesOfOneReply) {
  RedisReplyReader reader(1000);
  std::deque<RedisReply> replies;
  const std::string fits = absl::StrCat("$900\r\n", std::string(900, 'x'), "\r\n");
  for (int i = 0; i < 50; ++i) ASSERT_THAT(reader.Feed(fits, replies), IsOk());
  EXPECT_THAT(replies, SizeIs(50));
  EXPECT_THAT(reader.Feed(absl::StrCat("$5000\r\n", std::string(1001, 'x')), replies),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("longer than 1000 bytes")));
  // Many small parts too.
  RedisReplyReader parts(1000);
  std::string array = "*60000\r\n";
  for (int i = 0; i < 300; ++i) array += ":1\r\n";
  EXPECT_THAT(parts.Feed(array, replies), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(RedisReplyReaderTest, BoundsThePromisedElements) {
  for (const absl::string_view wire :
       {"*2000000000\r\n", "*11\r\n", "*3\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n*4\r\n"}) {
    RedisReplyReader reader(1000, /*max_elements=*/10);
    std::deque<RedisReply> replies;
    EXPECT_THAT(reader.Feed(wire, replies),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("more than 10 elements")))
        << wire;
  }
}

TEST(RedisReplyReaderTest, EveryReplyMayHaveItsElements) {
  RedisReplyReader reader(1000, /*max_elements=*/2);
  std::deque<RedisReply> replies;
  EXPECT_THAT(reader.Feed("*2\r\n:1\r\n:2\r\n*2\r\n:3\r\n:4\r\n", replies), IsOk());
  EXPECT_THAT(replies, SizeIs(2));
}

TEST(RedisReplyReaderTest, TheFuzzTargetHoldsOnRandomReplies) {
  constexpr absl::string_view kPieces[] = {"+",
                                           "-",
                                           ":",
                                           "$",
                                           "*",
                                           "0",
                                           "1",
                                           "2",
                                           "9",
                                           "\r\n",
                                           "\r\n",
                                           "*2\r\n",
                                           "$1\r\n",
                                           "x",
                                           "-1",
                                           "+OK",
                                           "\r",
                                           "\n",
                                           "$3\r\nabc\r\n",
                                           ":5\r\n",
                                           "*0\r\n"};
  for (uint64_t input = 0; input < 20'000; ++input) {
    CounterRandom random(11, input);
    std::string wire(1, static_cast<char>(random.Bits()));
    const uint64_t pieces = random.Below(40);
    for (uint64_t i = 0; i < pieces; ++i) {
      absl::StrAppend(&wire, kPieces[random.Below(std::size(kPieces))]);
    }
    // Aborts where something does not hold.
    ASSERT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(wire.data()), wire.size()),
              0);
  }
}

RedisReply Reply(absl::string_view wire) {
  RedisReplyReader reader(1000);
  std::deque<RedisReply> replies;
  EXPECT_THAT(reader.Feed(wire, replies), IsOk());
  EXPECT_THAT(replies, SizeIs(1));
  return std::move(replies.front());
}

TEST(RedisReplyTest, ErrorsHaveTheirCodes) {
  const auto code_of = [](absl::string_view text) {
    return RedisReplyStatus(Reply(absl::StrCat("-", text, "\r\n"))).code();
  };
  EXPECT_EQ(code_of("OOM command not allowed"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code_of("READONLY You can't write"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code_of("LOADING"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code_of("NOAUTH"), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code_of("NOPERM x"), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code_of("WRONGTYPE x"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code_of("RANGE x"), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(code_of("OOMPH"), absl::StatusCode::kInternal);
  EXPECT_THAT(RedisReplyStatus(Reply("+OK\r\n")), IsOk());
}

TEST(RedisReplyTest, AnUnexpectedShapeIsAnError) {
  EXPECT_THAT(TextOf(Reply(":1\r\n")), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(FieldsOf(Reply("*1\r\n$1\r\na\r\n")), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(FieldsOf(Reply("*2\r\n$1\r\na\r\n$1\r\nx\r\n")),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("wanted an integer")));
  EXPECT_THAT(LeaseHolderOf(Reply("*2\r\n$1\r\n1\r\n$1\r\na\r\n")),
              StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(BudgetGrantOf(Reply("*2\r\n$1\r\n1\r\n*0\r\n")),
              StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(FieldsOf(Reply("-WRONGTYPE x\r\n")), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FieldsOf(Reply("*2\r\n$1\r\na\r\n$2\r\n-5\r\n")),
              IsOkAndHolds(ElementsAre(Pair("a", -5))));
  EXPECT_THAT(FieldsOf(Reply("*0\r\n")), IsOkAndHolds(IsEmpty()));
}

TEST(RedisCommandTest, CarriesAnyBytes) {
  EXPECT_EQ(RedisCommand({"SET", absl::string_view("a\r\n", 3), absl::string_view()}).wire(),
            "*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n");
}

TEST(RedisScriptTest, HasTheDigestThatServersCompute) {
  // printf 'return 1' | sha1sum
  EXPECT_EQ(RedisScript("return 1").digest, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

}  // namespace
}  // namespace penstock
