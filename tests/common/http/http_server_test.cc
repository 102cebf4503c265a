#include "common/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/notification.h"
#include "tests/support/plain_client.h"

namespace penstock {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kGet[] = "GET /x?y=z HTTP/1.1\r\nHost: h\r\n\r\n";

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    options_.address_field = "page.http";
    options_.tls_field = "page.tls";
    options_.address = "127.0.0.1:0";
    handler_ = [](const HttpRequest& request, const HttpResponder& to) {
      HttpResponse response;
      response.body = absl::StrCat(request.path, "|", request.query);
      to.Send(std::move(response));
    };
  }
  void Serve() {
    auto server = HttpServer::Start(options_, handler_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  const std::string& address() const { return server_->address(); }

  HttpServerOptions options_;
  HttpHandler handler_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndEnds) {
  Serve();
  EXPECT_THAT(PlainClient(address()).Ask(kGet), EndsWith("\r\nConnection: close\r\n\r\n/x|y=z"));
  EXPECT_THAT(PlainClient(address()).Ask("GET /x HTTP/1.0\r\n\r\n"), EndsWith("\r\n\r\n/x|"));
}

TEST_F(HttpServerTest, TellsWhereARequestCameFromAndTo) {
  handler_ = [](const HttpRequest& request, const HttpResponder& to) {
    HttpResponse response;
    response.body = absl::StrCat(request.peer, request.to_loopback ? " here" : " there");
    to.Send(std::move(response));
  };
  Serve();
  EXPECT_THAT(PlainClient(address()).Ask(kGet),
              ::testing::ContainsRegex("\r\n\r\n127.0.0.1:[0-9]+ here"));
  options_.address = "0.0.0.0:0";
  Serve();
  EXPECT_THAT(PlainClient(address()).Ask(kGet), EndsWith(" there"));
}

TEST_F(HttpServerTest, AHeadMayComeByteByByte) {
  Serve();
  const PlainClient client(address());
  for (const char c : std::string(kGet)) client.Send(std::string(1, c));
  EXPECT_THAT(client.Receive(), EndsWith("/x|y=z"));
}

TEST_F(HttpServerTest, OfPipelinedRequestsTheFirstIsAnswered) {
  Serve();
  const std::string answer =
      PlainClient(address()).Ask(absl::StrCat(kGet, kGet, std::string(100'000, 'x')));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n/x|y=z"));
}

TEST_F(HttpServerTest, AnswersWhoSaysThatNothingMoreComes) {
  Serve();
  const PlainClient client(address());
  client.Send(kGet);
  client.HalfClose();
  EXPECT_THAT(client.Receive(), EndsWith("/x|y=z"));
}

TEST_F(HttpServerTest, RefusesInItsOwnWords) {
  options_.refuse = [](int status, absl::string_view wanted) {
    HttpResponse response;
    response.status = status;
    response.body = absl::StrCat("<", wanted, ">");
    return response;
  };
  Serve();
  const auto ask = [this](const std::string& text) { return PlainClient(address()).Ask(text); };
  const std::string other = ask("DELETE /x HTTP/1.1\r\n\r\n");
  EXPECT_THAT(other, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(other, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  EXPECT_THAT(other, EndsWith("<wanted GET>"));
  EXPECT_THAT(ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  const std::string head = ask("HEAD /x HTTP/1.1\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  // Its end never comes, and a client that still sends learns why it is refused.
  EXPECT_THAT(ask("GET /x HTTP/1.1\r\nX: " + std::string(1 << 20, 'x')),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("GET /x HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, AnAnswerMayComeLaterAndFromAnotherThread) {
  std::vector<HttpResponder> waiting;
  Notification came;
  handler_ = [&](const HttpRequest&, const HttpResponder& to) {
    waiting.push_back(to);
    came.Notify();
  };
  Serve();
  const PlainClient client(address());
  client.Send(kGet);
  came.Wait();
  std::optional<std::thread::id> made_on;
  waiting[0].Make([&made_on] {
    made_on = std::this_thread::get_id();
    HttpResponse response;
    response.body = "late";
    return response;
  });
  EXPECT_THAT(client.Receive(), EndsWith("\r\n\r\nlate"));
  server_.reset();
  EXPECT_NE(made_on, std::this_thread::get_id());
  waiting[0].Send({});  // the server is gone: nobody is told, and nothing breaks
}

TEST_F(HttpServerTest, TheFirstAnswerCounts) {
  handler_ = [](const HttpRequest&, const HttpResponder& to) {
    HttpResponse response;
    response.body = "first";
    to.Send(response);
    response.body = "second";
    to.Send(response);
  };
  Serve();
  EXPECT_THAT(PlainClient(address()).Ask(kGet), EndsWith("\r\n\r\nfirst"));
}

TEST_F(HttpServerTest, WhoIsSlowIsEnded) {
  options_.limits.head_time = absl::Milliseconds(50);
  options_.limits.answer_time = absl::Milliseconds(50);
  handler_ = [](const HttpRequest&, const HttpResponder&) {};
  Serve();
  EXPECT_THAT(PlainClient(address()).Ask("GET /x HTT"), IsEmpty());
  // An answer that does not come is not waited for either.
  EXPECT_THAT(PlainClient(address()).Ask(kGet), IsEmpty());
}

TEST_F(HttpServerTest, AThousandIdleConnectionsKeepNobodyOut) {
  options_.most_connections = 8;
  options_.patience = absl::Milliseconds(1);
  options_.limits.head_time = absl::Hours(1);
  Serve();
  std::vector<std::unique_ptr<PlainClient>> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(std::make_unique<PlainClient>(address()));
    idle.back()->Send("GET /slow");
  }
  EXPECT_THAT(PlainClient(address()).Ask(kGet), EndsWith("/x|y=z"));
  // The first of them made room.
  EXPECT_THAT(idle[0]->Receive(), IsEmpty());
}

TEST_F(HttpServerTest, WhoWaitsForAnAnswerIsNotEndedForOthers) {
  options_.most_connections = 2;
  options_.patience = absl::ZeroDuration();
  Mutex mutex;
  CondVar changed;
  std::vector<HttpResponder> waiting;
  handler_ = [&](const HttpRequest&, const HttpResponder& to) {
    MutexLock lock(mutex);
    waiting.push_back(to);
    changed.NotifyAll();
  };
  Serve();
  const auto asked = [&](size_t which) {
    MutexLock lock(mutex);
    while (waiting.size() <= which) changed.Wait(mutex);
    return waiting[which];
  };
  // Each asks before the next one connects: who has not asked yet is ended for the next.
  const PlainClient first(address());
  first.Send(kGet);
  const HttpResponder to_first = asked(0);
  const PlainClient second(address());
  second.Send(kGet);
  const HttpResponder to_second = asked(1);
  const PlainClient third(address());
  third.Send(kGet);
  to_first.Send({});
  // Only now there is room for the third.
  asked(2).Send({});
  to_second.Send({});
  for (const PlainClient* client : {&first, &second, &third}) {
    EXPECT_THAT(client->Receive(), StartsWith("HTTP/1.1 200 OK"));
  }
}

TEST_F(HttpServerTest, NamesTheFieldThatIsWrong) {
  Serve();
  const auto refused = [this] { return HttpServer::Start(options_, handler_).status(); };
  options_.address = "nowhere";
  EXPECT_EQ(refused().message(), "page.http is \"nowhere\", want HOST:PORT or \"off\"");
  options_.address = address();
  EXPECT_EQ(refused().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused().message()),
              StartsWith("page.http: cannot listen on 127.0.0.1:"));
  options_.tls.set_key_file("key.pem");
  EXPECT_EQ(refused().message(), "page.tls.certificate_file: is empty");
  options_.tls.set_certificate_file("/absent.pem");
  EXPECT_THAT(std::string(refused().message()), StartsWith("page.tls.certificate_file: "));
}

}  // namespace
}  // namespace penstock
