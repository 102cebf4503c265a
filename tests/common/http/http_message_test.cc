#include "common/http/http_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

TEST(HttpHeadTest, EndsBehindItsEmptyLine) {
  EXPECT_EQ(HttpHeadEnd(""), std::string::npos);
  EXPECT_EQ(HttpHeadEnd("GET / HTTP/1.1\r\nHost: x\r\n"), std::string::npos);
  EXPECT_EQ(HttpHeadEnd("GET / HTTP/1.1\r\n\r"), std::string::npos);
  EXPECT_EQ(HttpHeadEnd("GET / HTTP/1.1\r\n\r\nmore"), 18u);
}

TEST(HttpHeadTest, TellsMethodPathQueryAndHeaders) {
  const auto request = ParseHttpHead(
      "GET /api/x?pool=a%20b&after=7#top HTTP/1.1\r\n"
      "Host: h:1\r\nX-Two:\t a, b \r\nx-two: c\r\n\r\n");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->method, "GET");
  EXPECT_EQ(request->path, "/api/x");
  EXPECT_EQ(request->query, "pool=a%20b&after=7");
  EXPECT_THAT(request->headers,
              ElementsAre(Pair("host", "h:1"), Pair("x-two", "a, b"), Pair("x-two", "c")));
  EXPECT_EQ(request->Header("x-two"), "a, b");
  EXPECT_EQ(request->Header("absent"), "");
}

TEST(HttpHeadTest, ParametersAreUnescapedAndTheFirstCounts) {
  HttpRequest request;
  request.query = "a=1+2%2B3&b&a=9&c=%zz%4&d%3D=e&=f";
  EXPECT_EQ(request.Parameter("a"), "1 2+3");
  EXPECT_EQ(request.Parameter("b"), "");
  EXPECT_EQ(request.Parameter("c"), "%zz%4");
  EXPECT_EQ(request.Parameter("d="), "e");
  EXPECT_EQ(request.Parameter(""), "f");
  EXPECT_EQ(request.Parameter("absent"), "");
}

TEST(HttpHeadTest, RefusesWhatTwoReadersWouldReadInTwoWays) {
  const std::string kBad[] = {
      "",
      " ",
      "GET",
      "GET /",
      "GET / HTTP/2",
      "GET / HTTP/1.1 x",
      "GET  / HTTP/1.1",
      "GET http://host/ HTTP/1.1",
      "G\x01T / HTTP/1.1",
      std::string("GET /\0 HTTP/1.1", 15),
      "GET /\x7f HTTP/1.1",
      "GET / HTTP/1.1\r\nHost : x",
      "GET / HTTP/1.1\r\nHost: x\r\n folded: y",
      "GET / HTTP/1.1\r\n: x",
      "GET / HTTP/1.1\r\nno colon",
      "GET / HTTP/1.1\r\nX: a\nY: b",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b",
      "GET / HTTP/1.1\r\nContent-Length: 1",
      "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5",
      "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
  };
  for (const std::string& head : kBad) {
    const auto request = ParseHttpHead(head + "\r\n\r\n");
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << head;
    EXPECT_THAT(std::string(request.status().message()), StartsWith("wanted ")) << head;
  }
}

TEST(HttpHeadTest, BoundsTheNumberOfHeaders) {
  const auto with = [](int headers) {
    std::string head = "GET / HTTP/1.1\r\n";
    for (int i = 0; i < headers; ++i) absl::StrAppend(&head, "x", i, ": y\r\n");
    return ParseHttpHead(head + "\r\n").ok();
  };
  EXPECT_TRUE(with(100));
  EXPECT_FALSE(with(101));
}

TEST(HttpResponseTest, SaysItsSizeWithoutItsBodyToo) {
  HttpResponse response;
  response.status = 404;
  response.body = "gone";
  response.headers = {{"Cache-Control", "no-store"}};
  const std::string whole = FormatHttpResponse(response, true);
  EXPECT_THAT(whole, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(whole, HasSubstr("\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(whole, HasSubstr("\r\nCache-Control: no-store\r\n"));
  EXPECT_THAT(whole, EndsWith("\r\nConnection: close\r\n\r\ngone"));
  const std::string head = FormatHttpResponse(response, false);
  EXPECT_THAT(head, HasSubstr("\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(head, Not(EndsWith("gone")));
}

}  // namespace
}  // namespace penstock
