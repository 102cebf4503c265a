#include "common/logging/log_line.h"

#include <nlohmann/json.hpp>

#include "common/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Le;
using testing::Not;
using testing::SizeIs;

std::string KeyValue(absl::string_view value) {
  LogLine line(LogFormat::kKeyValue);
  line.Text("k", value);
  return line.Finish();
}

// What a reader of JSON finds.
std::string ThroughJson(absl::string_view value) {
  LogLine line(LogFormat::kJson);
  line.Text("k", value);
  return nlohmann::json::parse(line.Finish()).at("k").get<std::string>();
}

TEST(LogLineTest, FieldsStandInTheOrderOfTheirAdding) {
  LogLine line(LogFormat::kKeyValue);
  line.Text("event", "ready");
  line.Plain("pools", "3");
  line.Plain("shared", "true");
  EXPECT_EQ(line.Finish(), "event=ready pools=3 shared=true\n");
}

TEST(LogLineTest, JsonHasTheSameKeysAndTypes) {
  LogLine line(LogFormat::kJson);
  line.Text("event", "ready");
  line.Plain("pools", "3");
  line.Plain("shared", "true");
  EXPECT_EQ(line.Finish(), "{\"event\":\"ready\",\"pools\":3,\"shared\":true}\n");
}

TEST(LogLineTest, WordsNeedNoQuotes) {
  EXPECT_EQ(KeyValue("127.0.0.1:80/a-b_c"), "k=127.0.0.1:80/a-b_c\n");
}

TEST(LogLineTest, WhatCouldEndAValueOrBeginAKeyIsQuoted) {
  EXPECT_EQ(KeyValue(""), "k=\"\"\n");
  EXPECT_EQ(KeyValue("a b"), "k=\"a b\"\n");
  EXPECT_EQ(KeyValue("event=audit"), "k=\"event=audit\"\n");
  EXPECT_EQ(KeyValue("\" event=audit \\"), "k=\"\\\" event=audit \\\\\"\n");
  EXPECT_EQ(KeyValue("a\r\n\tb"), "k=\"a\\r\\n\\tb\"\n");
}

TEST(LogLineTest, WhatMovesACursorIsEscaped) {
  EXPECT_EQ(KeyValue(absl::string_view("\0\x1b\x7f", 3)), "k=\"\\u0000\\u001b\\u007f\"\n");
  // NEL, a line separator, a right-to-left override.
  EXPECT_EQ(KeyValue("\xC2\x85\xE2\x80\xA8\xE2\x80\xAE"), "k=\"\\u0085\\u2028\\u202e\"\n");
}

TEST(LogLineTest, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(KeyValue("a\xff\xC3(b"), "k=\"a\\ufffd\\ufffd(b\"\n");
  EXPECT_EQ(KeyValue("\xC3"), "k=\"\\ufffd\"\n");  // cut off in a character
  EXPECT_EQ(ThroughJson("a\xff"), "a\xEF\xBF\xBD");
}

TEST(LogLineTest, JsonGivesTextsBack) {
  for (const char* text : {"", "a b", "\"}\n{\"event\":\"audit\"", "\\u0000", "Gr\xC3\xBC\xC3\x9F",
                           "\xF0\x9F\x98\x80", "\xC2\x85", "\xE2\x80\xA8\x7f"}) {
    EXPECT_EQ(ThroughJson(text), text);
  }
}

TEST(LogLineTest, ALongValueIsCut) {
  const std::string line = KeyValue(std::string(5000, 'a'));
  EXPECT_THAT(line, SizeIs(Le(LogLine::kMaxValueBytes + 10)));
  EXPECT_THAT(line, EndsWith("aaa...\"\n"));
}

TEST(LogLineTest, AValueIsCutAsItIsWritten) {
  EXPECT_THAT(KeyValue(std::string(1024, '\n')), SizeIs(Le(LogLine::kMaxValueBytes + 10)));
}

TEST(LogLineTest, NoCharacterIsCutInTwo) {
  std::string value(LogLine::kMaxValueBytes - 2, 'a');
  value += "\xE2\x82\xAC";
  EXPECT_TRUE(IsUtf8(KeyValue(value)));
  EXPECT_THAT(KeyValue(value), EndsWith("a...\"\n"));
}

TEST(LogLineTest, ALineHasItsBoundAndSaysWhatItLacks) {
  for (const LogFormat format : {LogFormat::kKeyValue, LogFormat::kJson}) {
    LogLine line(format);
    for (int i = 0; i < 100; ++i) line.Text("k", std::string(1000, 'a'));
    const std::string written = line.Finish();
    EXPECT_THAT(written, SizeIs(Le(LogLine::kMaxLineBytes)));
    EXPECT_THAT(written, HasSubstr("cut"));
    if (format != LogFormat::kJson) continue;
    EXPECT_EQ(nlohmann::json::parse(written).at("cut"), true);
  }
}

TEST(LogLineTest, AnEmptyJsonLineIsAnObject) {
  EXPECT_EQ(LogLine(LogFormat::kJson).Finish(), "{}\n");
  EXPECT_THAT(KeyValue("x"), Not(HasSubstr("cut")));
}

}  // namespace
}  // namespace penstock
